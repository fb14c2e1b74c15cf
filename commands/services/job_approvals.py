"""The approval of a job by a second person: what it covers, and when it ends."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from commands.choices import JobStatus
from commands.exceptions import TransitionRefused
from commands.models import Job
from commands.rollouts import APPROVAL_LAPSES_AFTER
from commands.services.commands import actor_name
from commands.services.idempotency import fingerprint
from commands.services.jobs import cancel_job, move_job, ready_status
from commands.services.transitions import PLATFORM
from iotplatform.common import bulk_sql
from iotplatform.common.problems import Forbidden
from registry.models import User

J = JobStatus
# The devices that the job was created for, whatever replaced them since.
_MEMBERS = """
    SELECT encode(sha256(convert_to(
        string_agg(m.id::text, ',' ORDER BY m.id), 'UTF8')), 'hex')
    FROM (
        SELECT coalesce(in_place_of_id, device_id) AS id FROM commands_jobtarget
        WHERE job_id = %s
    ) m
"""


@transaction.atomic
def approve_job(
    *, job: Job, actor: User | None, reason: str, now: datetime | None = None
) -> Job:
    """Let a job start that needs an approval; it is bound to what the job says now.

    Raises Forbidden for its author, TransitionRefused for one that does not wait.
    """
    locked = _lock(job)
    if locked.status != J.AWAITING_APPROVAL:
        raise TransitionRefused(
            f"The job is {locked.get_status_display()}: it waits for no approval."
        )
    if actor is not None and locked.created_by_id == actor.pk:
        raise Forbidden("A second person must approve it: you asked for it yourself.")
    now = now or timezone.now()
    locked.approved_at, locked.approved_hash = now, hash_of_job(locked)
    locked.drift_checked_at = None
    locked.save(update_fields=["approved_at", "approved_hash", "drift_checked_at"])
    cause = f"approved by {actor_name(actor)}" + (f": {reason}" if reason else "")
    move_job(
        locked,
        ready_status(locked.start_at),
        at=now,
        actor=actor_name(actor),
        cause=cause,
    )
    return locked


def hash_of_job(job: Job) -> str:
    """Return the digest of everything that an approval covers.

    That is the members, the command with its parameters and definition, the policy and
    the rollout.
    """
    [(members,)] = bulk_sql.fetch(_MEMBERS, [job.pk])
    command = (job.command_name, job.params, job.definition, job.failure_rules)
    return fingerprint(members, command, job.policy, job.rollout)


def why_ask_again(job: Job, *, now: datetime) -> str:
    """Return why an approved job needs another approval before it starts, or empty."""
    if job.approved_at is None:
        return ""
    if now >= job.approved_at + APPROVAL_LAPSES_AFTER:
        days = APPROVAL_LAPSES_AFTER // timedelta(days=1)
        return f"the approval is older than {days} days"
    if hash_of_job(job) != job.approved_hash:
        return "it is no longer what was approved"
    return ""


def ask_again(job: Job, *, reason: str, now: datetime) -> None:
    """Let a locked job that has not started wait for another approval."""
    job.approved_at, job.approved_hash, job.drift_checked_at = None, "", None
    job.save(update_fields=["approved_at", "approved_hash", "drift_checked_at"])
    cause = f"an approval is asked again: {reason}"
    move_job(job, J.AWAITING_APPROVAL, at=now, actor=PLATFORM, cause=cause)


@transaction.atomic
def note_drift(job: Job, *, problem: str, now: datetime) -> Job:
    """Record that the members were compared with the query; a problem asks again."""
    locked = _lock(job)
    if locked.approved_at is None or locked.status not in (J.DRAFT, J.SCHEDULED):
        return locked
    if problem:
        ask_again(locked, reason=problem, now=now)
    else:
        locked.drift_checked_at = now
        locked.save(update_fields=["drift_checked_at"])
    return locked


def cancel_unapproved_across_tenants(*, now: datetime, limit: int) -> int:
    """Cancel the jobs that nobody approved in time; return how many."""
    waiting = Job.objects.filter(
        status=J.AWAITING_APPROVAL, status_since__lte=now - APPROVAL_LAPSES_AFTER
    )
    jobs = list(waiting.order_by("pk")[:limit])
    return sum(_cancel_unapproved(job) for job in jobs)


@transaction.atomic
def _cancel_unapproved(job: Job) -> bool:
    locked = _lock(job)
    if (locked.status, locked.status_since) != (job.status, job.status_since):
        return False  # somebody has approved or cancelled it meanwhile
    cancel_job(job=locked, actor=None, reason="nobody approved it in time")
    return True


def _lock(job: Job) -> Job:
    rows = Job.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("cohort").get(pk=job.pk)
