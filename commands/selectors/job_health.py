"""Reads of how the members of many jobs fare: a query for all, none per job."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db.models import Q

from commands.models import HeldChange, Job, JobHealth, JobRollback
from commands.selectors.job_gates import gates_of


def health_of(jobs: Collection[Job]) -> dict[str, Any]:
    """Return what the API and the console show of these jobs' health, by job."""
    ids = [job.pk for job in jobs]
    rows = JobHealth.objects.in_bulk(ids)
    named = Q(job__in=ids) | Q(of__in=ids)
    links = JobRollback.objects.filter(named).values_list(
        "job_id", "job__public_id", "of_id", "of__public_id"
    )
    return {
        "held": HeldChange.objects.select_related("lifted_by").in_bulk(ids),
        "before_after": {
            pk: {"start": row.before, "end": row.after}
            for pk, row in rows.items()
            if row.before is not None
        },
        "gates": gates_of(jobs, rows),
        "rollback_of": {job: of_id for job, _, _, of_id in links},
        "rolled_back_by": {of: job_id for _, job_id, of, _ in links},
    }
