"""Reads of how the members of many jobs fare: one query for all, none per job."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from commands.models import Job
from commands.selectors.job_gates import gates_of

# Rows that ``health_of`` needs: a query of jobs that selects them saves another one.
HEALTH = ("health", "held_change__lifted_by", "rollback__of", "rolled_back_by__job")


def health_of(jobs: Collection[Job]) -> dict[str, Any]:
    """Return what the API and the console show of these jobs' health, by job.

    Jobs that were read together with HEALTH are not read again.
    """
    rows: Collection[Any] = jobs
    link: Any = Job._meta.get_field("health")
    if not all(link.is_cached(row) for row in rows):
        ids = [job.pk for job in jobs]
        rows = Job.objects.filter(pk__in=ids).select_related(*HEALTH)
    health = {row.pk: row.health for row in rows if hasattr(row, "health")}
    return {
        "held": {r.pk: r.held_change for r in rows if hasattr(r, "held_change")},
        "before_after": {
            pk: {"start": row.before, "end": row.after}
            for pk, row in health.items()
            if row.before is not None
        },
        "gates": gates_of(jobs, health),
        "rollback_of": {
            row.pk: row.rollback.of.public_id
            for row in rows
            if hasattr(row, "rollback")
        },
        "rolled_back_by": {
            row.pk: row.rolled_back_by.job.public_id
            for row in rows
            if hasattr(row, "rolled_back_by")
        },
    }
