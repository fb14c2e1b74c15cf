"""Starting a job whose approval holds only while its members still match its query."""

from __future__ import annotations

import logging
from datetime import datetime

from django.utils import timezone

from commands.choices import JobStatus
from commands.models import Job
from commands.selectors.jobs import list_member_ids, list_to_compare
from commands.services import jobs
from commands.services.job_approvals import note_drift, why_ask_again
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.selectors.search import list_members
from iotplatform.common.counts import counted
from registry.models import Tenant, User

logger = logging.getLogger(__name__)

# Of the members: above it, the approval was given for another set.
MOST_DRIFT = 0.05


def start_job(*, job: Job, actor: User | None, reason: str = "") -> Job:
    """Start a job now, or at its start time.

    An approved job waits for another approval instead, if the first one has lapsed or
    more than 5 % of the members no longer match its query. Raises TransitionRefused as
    ``commands.services.jobs.start_job``, and IndexUnavailable where an approved job
    cannot be compared.
    """
    if job.approved_at is not None:
        now = timezone.now()
        problem = why_ask_again(job, now=now)
        if not problem and job.cohort.query:
            problem = find_drift(job)
        compared = note_drift(job, problem=problem, now=now)
        if compared.status == JobStatus.AWAITING_APPROVAL:
            return compared
    return jobs.start_job(job=job, actor=actor, reason=reason)


def compare_approved_across_tenants(*, now: datetime) -> int:
    """Compare the approved jobs whose start time has come; return how many.

    They start only after that. A job whose query cannot be answered now waits.
    """
    compared = 0
    for job in list_to_compare(now=now):
        try:
            problem = find_drift(job)
        except (IndexUnavailable, QueryError) as error:
            logger.warning("job %s cannot be compared: %s", job.public_id, error)
            continue
        note_drift(job, problem=problem, now=now)
        compared += 1
    return compared


def find_drift(job: Job) -> str:
    """Return how far the members have drifted from the query, if that is too far."""
    members = list_member_ids(job)
    # All of its tenant's devices: the limit of whoever created it may have changed.
    tenant = Tenant.objects.get(pk=job.tenant_id)
    found = list_members(tenants=[tenant], q=job.cohort.query).members
    gone = len(members - {member.device_id for member in found})
    if not members or gone / len(members) <= MOST_DRIFT:
        return ""
    return (
        f"{gone:,} of {counted(len(members), 'member')} no longer match the query"
        f" ({gone / len(members):.0%})"
    )
