"""What people do to a command: cancel, retry, escalate; each with actor and reason."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from commands.definitions import DEFINITIONS
from commands.exceptions import TransitionRefused
from commands.lifecycle import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    is_verdict,
)
from commands.models import Command, JobTarget
from commands.services import retries
from commands.services.commands import (
    actor_name,
    check_device,
    check_reachable,
    is_repeatable,
    new_command,
    save_new,
    supersede_configs,
)
from commands.services.dispatch import AWAY, wake_adapters
from commands.services.moves import Moves, lock_commands
from registry.models import User
from state.selectors import connectivity_of
from state.services.twin import merge_desired

S = CommandStatus


@transaction.atomic
def cancel_command(*, command: Command, actor: User | None, reason: str) -> Command:
    """Take a command back; refuse with TransitionRefused once the device has it."""
    moves = Moves(now=timezone.now())
    locked = lock_commands([command.pk])[command.pk]
    was = locked.status
    cause = "cancelled" + (f": {reason}" if reason else "")
    if not moves.move(locked, S.CANCELLED, cause=cause, actor=actor_name(actor)):
        raise TransitionRefused(
            f"The command is {locked.get_status_display()}: too late to cancel it."
        )
    if was == S.QUEUED:
        retries.close_attempts([locked], AttemptOutcome.STOPPED)
    moves.write()
    return locked


@transaction.atomic
def retry_command(*, command: Command, actor: User | None, reason: str) -> Command:
    """Try again what did not reach its end; return the command that is tried now.

    After a verdict of ours it is one more try of the same command, so that the device
    can tell a repeat. What the device ended stays ended: a linked new command is made.
    Refuses what is open, succeeded or superseded, and what is not repeatable while the
    device may have run it (TransitionRefused).
    """
    now = timezone.now()
    fresh = Command.objects.select_related("device__product", "device__tenant")
    device = fresh.get(pk=command.pk).device
    check_device(device)
    connectivity = connectivity_of([device.pk]).get(device.pk, "offline")
    check_reachable(device, DEFINITIONS[command.name], connectivity)
    device_ended = command.status == S.FAILED and not is_verdict(
        command.status, command.failure_class
    )
    if device_ended and command.command_class == CommandClass.CONFIG:
        # Twins are locked before commands, everywhere.
        version = merge_desired(
            device.pk, command.params, expected_version=None, at=now
        )
    else:
        version = None
    locked = lock_commands([command.pk])[command.pk]
    _check_may_retry(locked)
    locked.device = device
    cause = "tried again" + (f": {reason}" if reason else "")
    moves = Moves(now=now)
    if not is_verdict(locked.status, locked.failure_class):
        return _successor(
            locked, moves, connectivity, version=version, actor=actor, cause=cause
        )
    expires_in = timedelta(seconds=locked.policy["expires_in_seconds"])
    locked.expires_at = now + expires_in
    locked.uncounted_attempts = locked.attempt_count
    moves.move(locked, S.QUEUED, cause=cause, actor=actor_name(actor), due_at=now)
    if connectivity in AWAY and locked.command_class != CommandClass.CONFIG:
        retries.wait_for_device(locked, moves, cause="the device is not there")
    moves.write()
    wake_adapters()
    return locked


@transaction.atomic
def escalate_command(*, command: Command, actor: User | None, reason: str) -> Command:
    """Record that a person is to look at it, and why; where it stands, it stays."""
    moves = Moves(now=timezone.now())
    locked = lock_commands([command.pk])[command.pk]
    cause = "escalated to a person" + (f": {reason}" if reason else "")
    moves.note(locked, cause, actor=actor_name(actor), detail={"escalated": True})
    moves.write()
    return locked


def _check_may_retry(command: Command) -> None:
    status = command.get_status_display()
    if command.is_open:
        raise TransitionRefused(f"The command is {status}: it has not ended yet.")
    if command.status in (S.SUCCEEDED, S.VERIFIED):
        raise TransitionRefused(f"The command is {status}: nothing is left to try.")
    if command.status == S.SUPERSEDED or _is_outdated(command):
        raise TransitionRefused("A newer configuration took this one's place.")
    may_have_run = is_verdict(command.status, command.failure_class) and (
        command.received_at is not None
    )
    if may_have_run and not is_repeatable(command):
        raise TransitionRefused(
            f"'{command.name}' is not repeatable, and the device may have run it."
            " Look at the device, then ask for a new one."
        )


def _is_outdated(command: Command) -> bool:
    """Whether a newer configuration was asked for since."""
    return (
        command.command_class == CommandClass.CONFIG
        and Command.objects.filter(
            device_id=command.device_id,
            command_class=CommandClass.CONFIG,
            pk__gt=command.pk,
        ).exists()
    )


def _successor(
    command: Command,
    moves: Moves,
    connectivity: str,
    *,
    version: int | None,
    actor: User | None,
    cause: str,
) -> Command:
    """Make the linked new command; a job follows the new one from here on."""
    successor = new_command(
        device=command.device,
        definition=DEFINITIONS[command.name],
        params=command.params,
        policy=command.policy,
        connectivity=connectivity,
        now=moves.now,
    )
    successor.job_id = command.job_id
    successor.retry_of = command
    successor.requested_by = actor
    successor.desired_version = version
    if version is not None:
        supersede_configs([command.device_id], moves)
    moves.note(
        command,
        f"{cause}, as command {successor.public_id}",
        actor=actor_name(actor),
        detail={"retried_as": str(successor.public_id)},
    )
    save_new([successor], moves, actor=actor_name(actor), cause="requested as a retry")
    JobTarget.objects.filter(command=command).update(command=successor)
    return successor
