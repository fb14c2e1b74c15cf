"""Keeping how the members of a job were before it, and how they are after it."""

from __future__ import annotations

from commands.models import Job, JobHealth
from commands.selectors.member_health import count_health


def keep_before(job: Job) -> None:
    """Keep how the members are before the first of them gets its command."""
    row = JobHealth.objects.filter(job=job).first()
    if row is None or row.before is None:
        _keep(job, before=count_health(job))


def keep_after(job: Job) -> None:
    """Keep how the members are now that the job rests; one that never ran has none."""
    if JobHealth.objects.filter(job=job, before__isnull=False).exists():
        _keep(job, after=count_health(job))


def _keep(job: Job, **values: object) -> None:
    row = JobHealth(job=job, tenant_id=job.tenant_id, **values)
    JobHealth.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=["job"], update_fields=[*values]
    )
