"""Reads of jobs, their waves and their members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db.models import BigIntegerField, Expression, F, Q, QuerySet
from django.db.models.functions import Coalesce

from commands.choices import JobStatus
from commands.exceptions import JobNotFound
from commands.models import Job, JobEvent, JobTarget, JobWave
from commands.selectors.job_tallies import Tally, tally_jobs
from iotplatform.common.ids import parse_uuid
from registry.models import Tenant
from registry.selectors.access import (
    attach_caller_tenant,
    created_within,
    sets_within,
    within,
)


@dataclass
class JobCounts:
    """The members of a job, counted by status: all together, and by wave."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    trailing: int = 0
    by_status: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_failure_class: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    waves: list[tuple[JobWave, Tally]] = field(default_factory=list)


def list_jobs(*, tenants: Sequence[Tenant]) -> QuerySet[Job]:
    """Return the jobs of these tenants with the rows that the API names.

    A limited member sees a job only if every device of it is within the limit, or if
    they created it: a device that moved away since takes no job from them.
    """
    accessible = sets_within(tenants, JobTarget.objects.all(), owner="job_id")
    accessible |= created_within(tenants, author="created_by")
    return (
        Job.objects.filter(accessible)
        .select_related("tenant", "cohort", "created_by")
        .order_by("-pk")
    )


def get_job(
    *,
    tenants: Sequence[Tenant],
    public_id: UUID | str,
    related: Sequence[str] = (),
    **facts: Expression,
) -> Job:
    """Return one job with these related rows and annotations; raises JobNotFound."""
    wanted = parse_uuid(public_id)
    jobs = list_jobs(tenants=tenants).select_related(*related).annotate(**facts)
    found = jobs.filter(public_id=wanted).first() if wanted else None
    if found is None:
        raise JobNotFound("There is no such job.")
    attach_caller_tenant(found, tenants)
    return found


def list_waves(job: Job) -> QuerySet[JobWave]:
    """Return the waves of a job, the canary first."""
    return JobWave.objects.filter(job=job).order_by("number")


def list_targets(job: Job) -> QuerySet[JobTarget]:
    """Return the members of a job that its caller may access, with their commands."""
    targets = JobTarget.objects.filter(within([job.tenant], device="device"), job=job)
    return targets.select_related("device", "command").order_by("pk")


def list_member_ids(job: Job) -> set[int]:
    """Return the devices that the job was created for and that joined it."""
    joined = JobTarget.objects.filter(job=job, wave__isnull=False)
    first = Coalesce("in_place_of", "device", output_field=BigIntegerField())
    return set(joined.annotate(first=first).values_list("first", flat=True))


def list_to_compare(*, now: datetime) -> list[Job]:
    """Return the approved jobs that must be compared with their query to start now."""
    due = Job.objects.filter(
        status=JobStatus.SCHEDULED, start_at__lte=now, approved_at__isnull=False
    )
    return list(due.exclude(compared_with_query()).select_related("cohort"))


def compared_with_query() -> Q:
    """Return the condition that a job needs no more comparison with its query.

    Its members were listed, nobody had to approve it, or they were compared since its
    start time.
    """
    return (
        Q(approved_at__isnull=True)
        | Q(cohort__query="")
        | Q(drift_checked_at__gte=F("start_at"))
    )


def list_job_events(job: Job) -> QuerySet[JobEvent]:
    """Return the events of a job, oldest first."""
    return JobEvent.objects.filter(job=job).order_by("pk")


def counts_of(jobs: Collection[Job]) -> dict[int, JobCounts]:
    """Return the counts of many jobs in two queries."""
    ids = [job.pk for job in jobs]
    tallies = tally_jobs(ids)
    counts: dict[int, JobCounts] = {pk: JobCounts() for pk in ids}
    for wave in JobWave.objects.filter(job_id__in=ids).order_by("job_id", "number"):
        tally = tallies[wave.job_id][wave.number]
        counts[wave.job_id].waves.append((wave, tally))
    for pk, by_wave in tallies.items():
        for tally in by_wave.values():
            _add(counts[pk], tally)
    return counts


def _add(counts: JobCounts, tally: Tally) -> None:
    counts.total += sum(tally.by_status.values())
    counts.succeeded += tally.succeeded
    counts.failed += tally.failed
    counts.trailing += tally.trailing
    for status, members in tally.by_status.items():
        counts.by_status[status] += members
    for failure, members in tally.by_failure_class.items():
        counts.by_failure_class[failure] += members
