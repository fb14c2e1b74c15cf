"""What people do to a command: cancel, retry, escalate; each with actor and reason."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from commands.choices import AttemptOutcome, CommandStatus
from commands.definitions import DEFINITIONS
from commands.exceptions import TransitionRefused
from commands.models import Command
from commands.services import rerun, retry_policy
from commands.services.commands import actor_name, check_device, check_reachable
from commands.services.dispatch import wake_adapters
from commands.services.transitions import Moves, lock_commands
from registry.models import Device, User
from state.selectors import reach_of

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
        retry_policy.close_attempts([locked], AttemptOutcome.STOPPED)
    moves.write()
    return locked


@transaction.atomic
def retry_command(*, command: Command, actor: User | None, reason: str) -> Command:
    """Try again what did not reach its end; return the command that is tried now.

    Refuses what is open, succeeded or superseded, and what is not repeatable while the
    device may have run it (TransitionRefused); and what request_command would refuse
    of the device (CommandRefused).
    """
    device = Device.objects.select_related("product").get(pk=command.device_id)
    check_device(device)
    connectivity = reach_of([device.pk])
    check_reachable(device, DEFINITIONS[command.name], connectivity[device.pk])
    locked = lock_commands([command.pk])[command.pk]
    locked.device = device
    is_outdated = bool(rerun.outdated_among([locked]))
    if refusal := rerun.why_not_again(locked, is_outdated=is_outdated):
        raise TransitionRefused(refusal)
    cause = "tried again" + (f": {reason}" if reason else "")
    moves = Moves(now=timezone.now())
    if rerun.ended_by_device(locked):
        (successor,) = rerun.make_successors(
            [locked], moves, connectivity=connectivity, actor=actor, cause=cause
        )
        return successor
    rerun.queue_again(
        locked,
        moves,
        connectivity=connectivity[device.pk],
        actor=actor_name(actor),
        cause=cause,
    )
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
