"""Transfer of a device between tenants, as one operation.

What was stays with the old owner: rows of history keep its tenant, and the new owner
reads only what came after. What is open ends first; what the broker retains is cleared.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from commands.choices import AttemptOutcome, CommandStatus, FailureClass
from commands.lifecycle import JOB_FINAL
from commands.models import Command, Job, JobTarget
from commands.services import retry_policy
from commands.services.commands import actor_name
from commands.services.retained_config import clear_retained_below
from commands.services.transitions import Moves, lock_commands
from registry.models import Device, User
from registry.services.replacement import lock_devices
from registry.services.transfer import Destination, hand_over
from state.services.tenant_transfer import begin_anew

S = CommandStatus
WHY = "the device went to another tenant"


@transaction.atomic
def transfer_device(
    *, device: Device, to: Destination, reason: str, actor: User | None
) -> Device:
    """Give a device to another tenant; refused, nothing was done.

    Its open commands are cancelled, its credentials revoked, its present state and
    desired configuration emptied. Raises BadInput, InUse and Conflict as the registry.
    """
    lock_devices({device.pk, to.gateway.pk if to.gateway else None})
    now = timezone.now()
    _leave_jobs(device)
    commands = Command.objects.filter(device=device, ended_at__isnull=True)
    open_ids = list(commands.values_list("pk", flat=True))
    moved = hand_over(device=device, to=to, reason=reason, actor=actor)
    begin_anew(moved, at=now)
    _end(open_ids, Moves(now=now), actor=actor_name(actor))
    clear_retained_below(moved, at=now)
    return moved


def _leave_jobs(device: Device) -> None:
    """Take the device out of the waves to come, under the locks of its jobs."""
    own = JobTarget.objects.filter(device=device, command__isnull=True, skip_reason="")
    jobs = Job.objects.filter(pk__in=own.values("job_id"))
    going_on = jobs.exclude(status__in=JOB_FINAL).order_by("pk")
    list(going_on.select_for_update(of=("self",), no_key=True).values_list("pk"))
    ids = own.order_by("pk").select_for_update(of=("self",))
    JobTarget.objects.filter(pk__in=list(ids.values_list("pk", flat=True))).update(
        skip_reason=WHY
    )


def _end(open_ids: list[int], moves: Moves, *, actor: str) -> None:
    for command in lock_commands(open_ids).values():
        was = CommandStatus(command.status)
        to, failure = S.CANCELLED, ""
        if was == S.SUCCEEDED:
            to = S.SUPERSEDED
        elif was in (S.RECEIVED, S.RUNNING):
            to, failure = S.UNKNOWN, FailureClass.UNKNOWN_OUTCOME
        moves.move(command, to, cause=WHY, actor=actor, failure_class=failure)
        if was == S.QUEUED:
            retry_policy.close_attempts([command], AttemptOutcome.STOPPED)
    moves.write()
