"""The clock of jobs: judge the present wave, release the next, hand out commands."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, Max, Q

from commands.choices import CommandClass, JobStatus, WaveStatus
from commands.definitions import DEFINITIONS
from commands.models import Command, Job, JobTarget, JobWave
from commands.selectors.job_members import (
    devices_with_reasons,
    next_targets,
)
from commands.selectors.job_tallies import Tally, has_open_commands, tally_waves
from commands.services.commands import new_command, save_new, supersede_configs
from commands.services.dispatch import AWAY
from commands.services.jobs import move_job
from commands.services.transitions import PLATFORM, Moves
from state.choices import Connectivity
from state.selectors import desired_of, reach_of
from state.services.twin import merge_desired_many

logger = logging.getLogger(__name__)

J = JobStatus
# Members of one transaction; a wave of 100,000 takes a minute and a half at one batch
# a second, which is faster than the devices answer.
BATCH = 1_000

LINK = """
    UPDATE commands_jobtarget AS old SET command_id = new.command_id
    FROM unnest(%s::bigint[], %s::bigint[]) AS new(id, command_id)
    WHERE old.id = new.id
"""


def advance_jobs_across_tenants(now: datetime) -> int:
    """Advance each job that is due or running by one step; return how many."""
    due = Job.objects.filter(
        Q(status=J.RUNNING) | Q(status=J.SCHEDULED, start_at__lte=now)
    )
    ids = list(due.order_by("pk").values_list("pk", flat=True))
    return sum(_advance_or_log(pk, now) for pk in ids)


def _advance_or_log(job_id: int, now: datetime) -> bool:
    """Advance one job; what is wrong with it does not stop the others."""
    try:
        return advance_job(job_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away, for all of them
    except Exception:
        logger.exception("job %s cannot be advanced", job_id)
        return False


@transaction.atomic
def advance_job(job_id: int, *, now: datetime) -> bool:
    """Advance one job, unless another worker does; say whether it did."""
    job = (
        Job.objects.filter(pk=job_id, status__in=[J.SCHEDULED, J.RUNNING])
        .select_for_update(skip_locked=True, no_key=True)
        .first()
    )
    if job is None:
        return False
    if job.status == J.SCHEDULED:
        move_job(job, J.RUNNING, at=now, actor=PLATFORM, cause="its start time came")
    if job.deadline is not None and job.deadline <= now:
        _close_at_deadline(job, now)
    wave = _present_wave(job, now)
    if wave is not None:
        _advance_wave(job, wave, now)
    elif not _waves_to_come(job) and not has_open_commands(job.pk):
        move_job(
            job, J.COMPLETED, at=now, actor=PLATFORM, cause="every member has ended"
        )
    return True


def judge_wave(tally: Tally, wave: JobWave, rollout: dict[str, float]) -> str:
    """Say in words why the wave stops its job; empty where it does not."""
    ended = tally.ended - wave.accepted_ended
    failed = tally.failed - wave.accepted_failed
    enough = min(rollout["min_ended"], max(1, tally.counted - wave.accepted_ended))
    limit = rollout["failure_threshold"]
    if ended < enough or failed / ended <= limit:
        return ""
    return (
        f"{wave_name(wave)}: {failed} of {ended} that ended failed"
        f" ({failed / ended:.0%}), above the failure threshold of {limit:.0%}."
    )


def judge_success(tally: Tally, wave: JobWave, rollout: dict[str, float]) -> str:
    """Say in words why a wave that has ended pauses its job; empty if it does not."""
    ended = tally.ended - wave.accepted_ended
    succeeded = ended - (tally.failed - wave.accepted_failed)
    limit = rollout["success_threshold"]
    if ended <= 0 or succeeded / ended >= limit:
        return ""
    return (
        f"{wave_name(wave)} ended with {succeeded} of {ended} successful"
        f" ({succeeded / ended:.0%}), below the success threshold of {limit:.0%}."
    )


def wave_name(wave: JobWave) -> str:
    """Return how people call a wave."""
    return "The canary" if wave.is_canary else f"Wave {wave.number}"


def _advance_wave(job: Job, wave: JobWave, now: datetime) -> None:
    tally = tally_waves(job.pk, [wave.number])[wave.number]
    if reason := judge_wave(tally, wave, job.rollout):
        move_job(job, J.STOPPED, at=now, actor=PLATFORM, cause=reason)
    elif tally.pending:
        _hand_out(job, wave, now)
    elif not tally.open:
        if reason := judge_success(tally, wave, job.rollout):
            move_job(job, J.PAUSED, at=now, actor=PLATFORM, cause=reason)
            return
        wave.status = WaveStatus.ENDED
        wave.ended_at = now
        wave.save(update_fields=["status", "ended_at"])


def _present_wave(job: Job, now: datetime) -> JobWave | None:
    """Return the released wave; release the next one when the soak time is over."""
    waves = JobWave.objects.filter(job=job)
    released = waves.filter(status=WaveStatus.RELEASED).order_by("number").first()
    if released is not None:
        return released
    following = waves.filter(status=WaveStatus.PENDING).order_by("number").first()
    if following is None:
        return None
    ended_at = waves.aggregate(last=Max("ended_at"))["last"]
    soak = timedelta(seconds=job.rollout["soak_seconds"])
    if ended_at is not None and now < ended_at + soak:
        return None
    following.status = WaveStatus.RELEASED
    following.released_at = now
    following.save(update_fields=["status", "released_at"])
    return following


def _waves_to_come(job: Job) -> bool:
    return JobWave.objects.filter(job=job).exclude(status=WaveStatus.ENDED).exists()


def _hand_out(job: Job, wave: JobWave, now: datetime) -> None:
    """Give a batch of the wave's members their commands, as fast as the rate allows."""
    limit = min(BATCH, _allowance(job, now))
    targets = next_targets(job.pk, wave.number, limit=limit) if limit else []
    if not targets:
        return
    ids = [target.device_id for target in targets]
    devices = devices_with_reasons(ids)
    connectivity = reach_of(ids)
    taking = []
    for target in targets:
        _, reason = devices[target.device_id]
        where = connectivity.get(target.device_id, Connectivity.OFFLINE.value)
        target.skip_reason = reason or _skip_reason(job, where)
        if not target.skip_reason:
            taking.append((target, where))
    skipped = [target for target in targets if target.skip_reason]
    JobTarget.objects.bulk_update(skipped, ["skip_reason"])
    _create_commands(job, taking, now)


def _create_commands(
    job: Job, taking: Sequence[tuple[JobTarget, str]], now: datetime
) -> None:
    if not taking:
        return
    ids = [target.device_id for target, _ in taking]
    devices = devices_with_reasons(ids)
    is_config = job.command_class == CommandClass.CONFIG
    versions = merge_desired_many(sorted(ids), job.params, at=now) if is_config else {}
    desired = desired_of(ids) if is_config else {}
    moves = Moves(now=now)
    if is_config:
        supersede_configs(ids, moves)
    commands = []
    for target, where in taking:
        command = new_command(
            device=devices[target.device_id][0],
            definition=DEFINITIONS[job.command_name],
            params=job.params,
            policy=job.policy,
            connectivity=where,
            now=now,
            job=job,
            deadline=job.deadline,
        )
        command.desired_version = versions.get(target.device_id)
        if is_config:
            command.expectation = desired[target.device_id][0]
        command.requested_by_id = job.created_by_id
        commands.append(command)
    save_new(commands, moves, actor=PLATFORM, cause=f"released by job {job.name}")
    with connection.cursor() as cursor:
        targets = [target.pk for target, _ in taking]
        cursor.execute(LINK, [targets, [command.pk for command in commands]])


def _skip_reason(job: Job, connectivity: str) -> str:
    if job.command_class == CommandClass.CONTROL and connectivity != "online":
        return f"is {connectivity}: a real-time command is refused unless online"
    if job.rollout["offline"] == "skip" and connectivity in AWAY:
        return "is offline"
    return ""


def _allowance(job: Job, now: datetime) -> int:
    """Return how many commands the rate allows now: even over the minute, no bursts."""
    rate: int | None = job.rollout["rate_per_minute"]
    if not rate:
        return BATCH
    lately = Command.objects.filter(
        job=job, created_at__gt=now - timedelta(minutes=1)
    ).aggregate(made=Count("id"), last=Max("created_at"))
    if lately["last"] is None:
        return max(1, math.ceil(rate / 60))
    elapsed = (now - lately["last"]).total_seconds()
    return int(min(rate - lately["made"], rate * elapsed / 60))


def _close_at_deadline(job: Job, now: datetime) -> None:
    """Give no more commands, judge no more waves; what is out ends by the same hour."""
    JobTarget.objects.filter(job=job, command__isnull=True, skip_reason="").update(
        skip_reason="the job's deadline had passed"
    )
    JobWave.objects.filter(job=job).exclude(status=WaveStatus.ENDED).update(
        status=WaveStatus.ENDED, ended_at=now
    )
