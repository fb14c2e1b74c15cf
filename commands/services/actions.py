"""What people do with a command: cancel, retry, escalate; with actor and reason."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from commands.choices import AttemptOutcome, CommandStatus
from commands.exceptions import TransitionRefused
from commands.models import Command
from commands.selectors.definitions import definition_of_command
from commands.services import rerun, retry_policy
from commands.services.adapter_wakeup import wake_adapters
from commands.services.commands import actor_name, check_device, check_reachable
from commands.services.transitions import Moves, lock_commands
from registry.models import Device, User
from state.selectors import deliverability_of

S = CommandStatus


@transaction.atomic
def cancel_command(
    *, command: Command, actor: User | None, reason: str, now: datetime | None = None
) -> Command:
    """Cancel a command; raises TransitionRefused once the device has it."""
    moves = Moves(now=now or timezone.now())
    locked = lock_commands([command.pk])[command.pk]
    was = locked.status
    cause = "cancelled" + (f": {reason}" if reason else "")
    if not moves.move(locked, S.CANCELLED, cause=cause, actor=actor_name(actor)):
        raise TransitionRefused(
            f"The command is {locked.get_status_display()}: too late to cancel it."
        )
    if was == S.QUEUED:
        retry_policy.close_attempts([locked], AttemptOutcome.STOPPED, at=moves.now)
    moves.write()
    return locked


@transaction.atomic
def retry_command(*, command: Command, actor: User | None, reason: str) -> Command:
    """Retry a command that failed; return the command that is sent now.

    Raises TransitionRefused for a command that is open, succeeded or superseded, or
    that is not repeatable and may have run; CommandRefused if the device takes no
    command now, as in request_command. A member of a paused or stopped job is sent
    alone; after the job's deadline it is refused.
    """
    device = Device.objects.select_related("product").get(pk=command.device_id)
    check_device(device)
    connectivity = deliverability_of([device.pk])
    check_reachable(device, definition_of_command(command), connectivity[device.pk])
    locked = lock_commands([command.pk])[command.pk]
    locked.device = device
    is_outdated = bool(rerun.find_outdated([locked]))
    if refusal := rerun.rerun_refusal(locked, is_outdated=is_outdated):
        raise TransitionRefused(refusal)
    cause = "retried" + (f": {reason}" if reason else "")
    moves = Moves(now=timezone.now())
    if locked.job is not None:
        rerun.check_deadline(locked.job, now=moves.now)
        rerun.send_despite_job([locked], locked.job)
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
    """Record that a person must look at it, and why; its status does not change."""
    moves = Moves(now=timezone.now())
    locked = lock_commands([command.pk])[command.pk]
    cause = "escalated to a person" + (f": {reason}" if reason else "")
    moves.note(locked, cause, actor=actor_name(actor), detail={"escalated": True})
    moves.need_person(locked, reason or f"escalated by {actor_name(actor)}")
    moves.write()
    return locked
