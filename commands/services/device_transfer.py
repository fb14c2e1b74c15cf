"""Transfer of a device between tenants, as one operation.

Past events stay with the old owner: their rows keep its tenant, and the new owner reads
only later ones. Open commands end first; the broker's retained messages are cleared.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from commands.lifecycle import JOB_FINAL
from commands.models import Command, Job, JobTarget
from commands.services.commands import actor_name, withdraw_command
from commands.services.retained_config import clear_retained_below
from commands.services.transitions import Moves, lock_commands
from registry.models import Device, User
from registry.services.replacement import lock_devices
from registry.services.transfer import Destination, move_to_tenant
from state.services.tenant_transfer import reset_for_new_tenant

WHY = "the device was transferred to another tenant"


@transaction.atomic
def transfer_device(
    *, device: Device, to: Destination, reason: str, actor: User | None
) -> Device:
    """Give a device to another tenant; a refusal changes nothing.

    Its open commands are cancelled, its credentials revoked, its current state and
    desired configuration emptied. Raises BadInput, InUse and Conflict as the registry
    does.
    """
    lock_devices({device.pk, to.gateway.pk if to.gateway else None})
    now = timezone.now()
    _leave_jobs(device)
    commands = Command.objects.filter(device=device, ended_at__isnull=True)
    open_ids = list(commands.values_list("pk", flat=True))
    moved = move_to_tenant(device=device, to=to, reason=reason, actor=actor)
    reset_for_new_tenant(moved, at=now)
    moves, name = Moves(now=now), actor_name(actor)
    for command in lock_commands(open_ids).values():
        withdraw_command(command, moves, cause=WHY, actor=name)
    moves.write()
    JobTarget.objects.filter(command_id__in=open_ids).update(skip_reason=WHY)
    clear_retained_below(moved, at=now)
    return moved


def _leave_jobs(device: Device) -> None:
    """Take the device out of future waves, while its jobs are locked.

    Where its command is open, its member gets the same reason when that has ended.
    """
    own = JobTarget.objects.filter(device=device, command__isnull=True, skip_reason="")
    jobs = Job.objects.filter(pk__in=own.values("job_id"))
    going_on = jobs.exclude(status__in=JOB_FINAL).order_by("pk")
    list(going_on.select_for_update(of=("self",), no_key=True).values_list("pk"))
    ids = own.order_by("pk").select_for_update(of=("self",))
    JobTarget.objects.filter(pk__in=list(ids.values_list("pk", flat=True))).update(
        skip_reason=WHY
    )
