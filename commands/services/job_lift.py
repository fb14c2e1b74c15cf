"""A second person lets other jobs send again what a stopped job has marked."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from commands.exceptions import InvalidCommand, NothingHeld
from commands.models import HeldChange, Job
from commands.services.commands import actor_name
from commands.services.jobs import record_job_event
from iotplatform.common.problems import Forbidden
from registry.models import User


@transaction.atomic
def lift_hold(*, job: Job, actor: User | None, reason: str) -> Job:
    """Let other jobs send again what a stopped job has marked.

    Raises InvalidCommand without a reason, Forbidden for the job's author, and
    NothingHeld if the job holds nothing (any more).
    """
    if not reason.strip():
        raise InvalidCommand(reason="Say why other jobs may send it again.")
    rows = HeldChange.objects.select_for_update(of=("self",), no_key=True)
    row = rows.filter(job=job, lifted_at__isnull=True).first()
    if row is None:
        raise NothingHeld("The job holds no release and no patch.")
    if actor is not None and job.created_by_id == actor.pk:
        raise Forbidden("A second person must lift it: the job is your own.")
    row.lifted_at, row.lifted_by, row.lift_reason = timezone.now(), actor, reason
    row.save(update_fields=["lifted_at", "lifted_by", "lift_reason"])
    name = actor_name(actor)
    cause = f"{row.get_kind_display()} no longer held, lifted by {name}: {reason}"
    record_job_event(job, at=row.lifted_at, actor=name, cause=cause)
    return job
