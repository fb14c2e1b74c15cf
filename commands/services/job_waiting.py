"""Letting a job go on without the devices that do not answer."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from commands.choices import (
    CommandStatus,
    FailureClass,
    JobStatus,
    WaitsFor,
    WaveStatus,
)
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.models import Job, JobTarget, JobWave
from commands.services.commands import actor_name
from commands.services.jobs import record_job_event
from iotplatform.common.counts import counted
from registry.models import User

S = CommandStatus
# They trail: no wave waits for them.
OFFLINE = Q(command__status=S.HELD) & (
    Q(command__waits_for=WaitsFor.DEVICE)
    | Q(command__failure_class=FailureClass.GATEWAY_UNREACHABLE)
)


@transaction.atomic
def skip_waiting(*, job: Job, actor: User | None, reason: str) -> Job:
    """Let a running job go on without the members that have not answered yet.

    Their commands stay as they are; an answer that comes later counts for the whole
    job. Raises InvalidCommand without a reason, and TransitionRefused for a job that
    waits for no answer.
    """
    if not reason.strip():
        raise InvalidCommand(reason="Say why the job goes on without them.")
    rows = Job.objects.select_for_update(of=("self",), no_key=True)
    locked = rows.get(pk=job.pk)
    if locked.status != JobStatus.RUNNING:
        raise TransitionRefused(
            f"The job is {locked.get_status_display()}: it waits for no device."
        )
    waves = JobWave.objects.filter(job=locked, status=WaveStatus.RELEASED)
    silent = JobTarget.objects.filter(
        ~OFFLINE,
        job=locked,
        wave__in=waves.values("number"),
        command__isnull=False,
        command__ended_at__isnull=True,
        is_passed_over=False,
    )
    count = silent.update(is_passed_over=True)
    if not count:
        raise TransitionRefused("The job waits for no answer of a device.")
    pending = JobTarget.objects.filter(
        job=locked, command__isnull=True, skip_reason="", wave__isnull=False
    )
    # A wave whose last members were skipped may end without any result.
    waves.exclude(number__in=pending.values("wave")).update(is_accepted=True)
    without = f"goes on without {counted(count, 'device')} that did not answer"
    cause = f"{without}: {reason}"
    name = actor_name(actor)
    record_job_event(locked, at=timezone.now(), actor=name, cause=cause)
    return locked
