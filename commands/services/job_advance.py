"""What advances jobs: judge the current wave, release the next, hand it out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from commands.choices import JobStatus, Lane, WaveStatus
from commands.judgment.health_gate import ROLLBACK
from commands.models import Command, Job, JobTarget, JobWave
from commands.selectors.job_tallies import (
    Tally,
    has_open_commands,
    tally_waves,
)
from commands.selectors.jobs import compared_with_query
from commands.services.job_approvals import ask_again, why_ask_again
from commands.services.job_gate import find_breach, gate_lets_pass
from commands.services.job_handout import hand_out
from commands.services.job_judgment import (
    Tallies,
    judge_evidence,
    judge_job,
    judge_success,
    judge_wave,
)
from commands.services.job_rollback import roll_back_after_breach
from commands.services.jobs import move_job
from commands.services.member_health import keep_before
from commands.services.transitions import PLATFORM
from iotplatform.common import bulk_sql

logger = logging.getLogger(__name__)

J = JobStatus
_AFTER_PAUSE = f"""
    UPDATE commands_command c
    SET due_at = CASE WHEN status = 'queued' OR waits_for = 'time' THEN due_at
            ELSE due_at + p.took END,
        expires_at = least(expires_at + p.took, p.deadline)
    FROM (
        SELECT o.id, v.resumed_at - greatest(v.paused_at, o.created_at) AS took,
            v.deadline
        FROM (SELECT %s::timestamptz, %s::timestamptz, %s::timestamptz, %s::bigint)
            AS v(resumed_at, paused_at, deadline, job_id)
        JOIN commands_command o ON o.job_id = v.job_id
        WHERE o.ended_at IS NULL AND o.clock_stopped_at IS NULL
            AND o.created_at < v.resumed_at AND o.lane <> {Lane.BY_HAND.value}
        ORDER BY o.id FOR UPDATE OF o
    ) p
    WHERE c.id = p.id
"""


def advance_jobs_across_tenants(now: datetime) -> int:
    """Advance each job that is due or running by one step; return how many."""
    due = Job.objects.filter(
        Q(status=J.RUNNING)
        | Q(compared_with_query(), status=J.SCHEDULED, start_at__lte=now)
    )
    ids = list(due.order_by("pk").values_list("pk", flat=True))
    return sum(_advance_or_log(pk, now) for pk in ids)


def _advance_or_log(job_id: int, now: datetime) -> bool:
    """Advance one job; an error in it does not stop the others."""
    try:
        return advance_job(job_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away; the other jobs would fail too
    except Exception:
        logger.exception("job %s cannot be advanced", job_id)
        return False


@transaction.atomic
def advance_job(job_id: int, *, now: datetime) -> bool:
    """Advance one job, unless another worker does; return whether it was advanced."""
    job = (
        Job.objects.filter(pk=job_id, status__in=[J.SCHEDULED, J.RUNNING])
        .select_for_update(skip_locked=True, no_key=True)
        .first()
    )
    if job is None:
        return False
    if job.status == J.SCHEDULED:
        if problem := why_ask_again(job, now=now):
            ask_again(job, reason=problem, now=now)
            return True
        move_job(job, J.RUNNING, at=now, actor=PLATFORM, cause="its start time came")
    if job.paused_at is not None:
        _go_on_after_pause(job, job.paused_at)
    is_over = job.deadline is not None and job.deadline <= now
    if is_over:
        _close_at_deadline(job, now)
    tallies = tally_waves(job.pk)
    keep_before(job)
    waves = list(JobWave.objects.filter(job=job).order_by("number"))
    # After its deadline nothing more is sent: there is nothing to stop.
    if not is_over and _stop(job, waves, tallies, now):
        return True
    wave = _current_wave(job, waves, now)
    if wave is not None:
        _advance_wave(job, wave, tallies[wave.number], now)
    elif not _has_waves_left(job) and not has_open_commands(job.pk):
        move_job(
            job, J.COMPLETED, at=now, actor=PLATFORM, cause="every device has finished"
        )
    return True


def _advance_wave(job: Job, wave: JobWave, tally: Tally, now: datetime) -> None:
    if tally.pending:
        hand_out(job, wave, now)
    elif not tally.open:
        reason = judge_success(tally, wave, job.rollout)
        if not reason and _has_waves_left(job, after=wave):
            # The next wave would be released on the evidence of this one.
            reason = judge_evidence(tally, wave)
        if reason:
            move_job(job, J.PAUSED, at=now, actor=PLATFORM, cause=reason)
            return
        wave.status = WaveStatus.ENDED
        wave.ended_at = now
        wave.save(update_fields=["status", "ended_at"])


def _stop(job: Job, waves: Sequence[JobWave], tallies: Tallies, now: datetime) -> bool:
    """Stop a job for its results or by its health gate; return whether it stops."""
    breach = ""
    if reason := _why_stop(job, waves, tallies) or (
        breach := find_breach(job, now=now)
    ):
        move_job(job, J.STOPPED, at=now, actor=PLATFORM, cause=reason)
    if breach and job.rollout["health_gate"]["on_breach"] == ROLLBACK:
        roll_back_after_breach(job, reason=breach, now=now)
    return bool(reason)


def _why_stop(job: Job, waves: Sequence[JobWave], tallies: Tallies) -> str:
    """Return why the results so far stop the job; empty if they do not."""
    for wave in waves:
        if wave.status == WaveStatus.RELEASED:
            if reason := judge_wave(tallies[wave.number], wave, job.rollout):
                return reason
    return judge_job(waves, tallies, job.rollout)


def _current_wave(job: Job, waves: Sequence[JobWave], now: datetime) -> JobWave | None:
    """Return the released wave, or release the next one when the soak time is over.

    ``waves`` are all of the job, by number.
    """
    released = next((w for w in waves if w.status == WaveStatus.RELEASED), None)
    if released is not None:
        return released
    following = next((w for w in waves if w.status == WaveStatus.PENDING), None)
    if following is None:
        return None
    ended_at = max((w.ended_at for w in waves if w.ended_at), default=None)
    soak = timedelta(seconds=job.rollout["soak_seconds"])
    if ended_at is not None and now < ended_at + soak:
        return None
    if not gate_lets_pass(job, now=now):
        return None
    following.status = WaveStatus.RELEASED
    following.released_at = now
    following.save(update_fields=["status", "released_at"])
    return following


def _has_waves_left(job: Job, *, after: JobWave | None = None) -> bool:
    left = JobWave.objects.filter(job=job).exclude(status=WaveStatus.ENDED)
    return (left.filter(number__gt=after.number) if after else left).exists()


def _go_on_after_pause(job: Job, paused_at: datetime) -> None:
    """Move the times of its open commands on by the pause, in one statement.

    A queued command stays due, and what a device asked for stays at its time.
    """
    bulk_sql.run(_AFTER_PAUSE, [job.status_since, paused_at, job.deadline, job.pk])
    job.paused_at = None
    job.save(update_fields=["paused_at"])


def _close_at_deadline(job: Job, now: datetime) -> None:
    """Skip the members without a command, end the waves; open commands expire now."""
    # A sleep of the device, or a retry, may have moved the expiry beyond it.
    later = Q(expires_at__gt=now) | Q(clock_stopped_at__isnull=False)
    Command.objects.filter(later, job=job, ended_at__isnull=True).update(
        expires_at=now, due_at=now, clock_stopped_at=None
    )
    JobTarget.objects.filter(job=job, command__isnull=True, skip_reason="").update(
        skip_reason="the job's deadline has passed"
    )
    JobWave.objects.filter(job=job).exclude(status=WaveStatus.ENDED).update(
        status=WaveStatus.ENDED, ended_at=now
    )
