"""What advances jobs: judge the current wave, release the next, hand out commands."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Count, Max, Q

from commands.choices import CommandClass, JobStatus, WaveStatus
from commands.models import Command, Job, JobTarget, JobWave
from commands.rollouts import MAX_IN_FLIGHT
from commands.selectors.definitions import definition_of_job
from commands.selectors.job_members import (
    get_devices_with_refusals,
    list_next_targets,
)
from commands.selectors.job_tallies import (
    Tally,
    count_unanswered,
    count_unanswered_of_tenant,
    has_open_commands,
    tally_waves,
)
from commands.selectors.pending import MAX_PENDING, find_full_devices
from commands.services.commands import new_command, save_new, supersede_configs
from commands.services.jobs import move_job
from commands.services.transitions import PLATFORM, Moves
from iotplatform.common import bulk_sql
from iotplatform.common.counts import counted
from registry.models import Device
from state.choices import Connectivity
from state.judgment.desired_asks import Ask, named
from state.selectors import GATEWAY_AWAY, deliverability_of
from state.services.twin import merge_desired_many

logger = logging.getLogger(__name__)

J = JobStatus
# Members of one transaction; a wave of 100,000 takes a minute and a half at one batch
# a second, which is faster than the devices answer.
BATCH = 1_000

# All jobs of one tenant together: other tenants share the same adapters.
TENANT_IN_FLIGHT = 2_000

_AFTER_PAUSE = """
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
            AND o.created_at < v.resumed_at
        ORDER BY o.id FOR UPDATE OF o
    ) p
    WHERE c.id = p.id
"""
_OFFLINE = {
    Connectivity.OFFLINE.value: "is offline",
    GATEWAY_AWAY: "is behind a gateway that is not online",
}
LINK = bulk_sql.update_by_key(JobTarget, "command_id")


def advance_jobs_across_tenants(now: datetime) -> int:
    """Advance each job that is due or running by one step; return how many."""
    due = Job.objects.filter(
        Q(status=J.RUNNING) | Q(status=J.SCHEDULED, start_at__lte=now)
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
        move_job(job, J.RUNNING, at=now, actor=PLATFORM, cause="its start time came")
    if job.paused_at is not None:
        _go_on_after_pause(job, job.paused_at)
    if job.deadline is not None and job.deadline <= now:
        _close_at_deadline(job, now)
    wave = _current_wave(job, now)
    if wave is not None:
        _advance_wave(job, wave, now)
    elif not _has_waves_left(job) and not has_open_commands(job.pk):
        move_job(
            job, J.COMPLETED, at=now, actor=PLATFORM, cause="every device has finished"
        )
    return True


def judge_wave(tally: Tally, wave: JobWave, rollout: dict[str, float]) -> str:
    """Return the reason why the wave stops its job; empty if it does not."""
    ended = tally.ended - wave.accepted_ended
    failed = tally.failed - wave.accepted_failed
    enough = min(rollout["min_ended"], max(1, tally.counted - wave.accepted_ended))
    limit = rollout["failure_threshold"]
    if ended < enough or failed / ended <= limit:
        return ""
    return (
        f"{wave_name(wave)}: {failed} of {ended} finished devices failed"
        f" ({failed / ended:.0%}), above the failure threshold of {limit:.0%}."
    )


def judge_success(tally: Tally, wave: JobWave, rollout: dict[str, float]) -> str:
    """Return the reason why an ended wave pauses its job; empty if it does not."""
    ended = tally.ended - wave.accepted_ended
    succeeded = ended - (tally.failed - wave.accepted_failed)
    limit = rollout["success_threshold"]
    if ended <= 0 or succeeded / ended >= limit:
        return ""
    return (
        f"{wave_name(wave)}: {succeeded} of {counted(ended, 'device')} succeeded"
        f" ({succeeded / ended:.0%}), below the success threshold of {limit:.0%}."
    )


def wave_name(wave: JobWave) -> str:
    """Return the name of a wave that people see."""
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


def _current_wave(job: Job, now: datetime) -> JobWave | None:
    """Return the released wave, or release the next one when the soak time is over."""
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


def _has_waves_left(job: Job) -> bool:
    return JobWave.objects.filter(job=job).exclude(status=WaveStatus.ENDED).exists()


def _hand_out(job: Job, wave: JobWave, now: datetime) -> None:
    """Create commands for a batch of the wave's members, as fast as the rate allows."""
    limit = min(BATCH, _allowance(job, now))
    limit = min(limit, _room(job)) if limit > 0 else 0
    targets = list_next_targets(job.pk, wave.number, limit=limit) if limit > 0 else []
    if not targets:
        return
    ids = [target.device_id for target in targets]
    devices = get_devices_with_refusals(ids)
    connectivity = deliverability_of(ids)
    full = find_full_devices(ids)
    ready = []
    for target in targets:
        device, refusal = devices[target.device_id]
        status = connectivity.get(target.device_id, Connectivity.OFFLINE.value)
        target.skip_reason = refusal or _skip_reason(job, status)
        if device.pk in full:
            target.skip_reason = f"has {MAX_PENDING} pending commands"
        if not target.skip_reason:
            ready.append((target, device, status))
    skipped = [target for target in targets if target.skip_reason]
    JobTarget.objects.bulk_update(skipped, ["skip_reason"])
    if ready:
        _create_commands(job, ready, now)


def _create_commands(
    job: Job, members: Sequence[tuple[JobTarget, Device, str]], now: datetime
) -> None:
    """Create a command for each member, given with its device and connectivity."""
    definition = definition_of_job(job)
    made: list[tuple[JobTarget, Command]] = []
    for target, device, connectivity in members:
        command = new_command(
            device=device,
            definition=definition,
            params=job.params,
            policy=job.policy,
            failure_rules=job.failure_rules,
            connectivity=connectivity,
            now=now,
            job=job,
            deadline=job.deadline,
        )
        command.requested_by_id = job.created_by_id
        made.append((target, command))
    moves = Moves(now=now)
    remarks: dict[UUID, str] = {}
    if job.command_class == CommandClass.CONFIG:
        made, remarks = _merge_config(job, made, moves)
    commands = [command for _, command in made]
    cause = f"released by job {job.name}"
    save_new(commands, moves, actor=PLATFORM, cause=cause, remarks=remarks)
    links = [(target.pk, command.pk) for target, command in made]
    bulk_sql.run(LINK, bulk_sql.columns_of(links, 2))


def _merge_config(
    job: Job, made: Sequence[tuple[JobTarget, Command]], moves: Moves
) -> tuple[list[tuple[JobTarget, Command]], dict[UUID, str]]:
    """Merge the job's patch into the desired documents; the later ask wins.

    Keys that somebody changed after the job was asked for stay as they are: a command
    is sent without them, and a member of whom nothing is left is skipped. Return what
    is sent, and the remark on each command that lost a key.
    """
    ids = sorted(command.device_id for _, command in made)
    merged = merge_desired_many(
        ids,
        job.params,
        at=moves.now,
        ask=Ask(job.asked_at, "job", job.name),
        commands={command.device_id: command.public_id for _, command in made},
    )
    definition = definition_of_job(job)
    sent, skipped = [], []
    remarks: dict[UUID, str] = {}
    for target, command in made:
        own = merged[command.device_id]
        if own.later:
            changed = [f"{named(p)} by {ask['who']}" for p, ask in own.later.items()]
            remark = f"changed later: {', '.join(changed)}"
            remarks[command.public_id] = f"; left out, {remark}"
            target.skip_reason = "" if own.patch else remark[:200]
        if not own.patch:
            skipped.append(target)
            continue
        command.desired_version, command.params = own.version, own.patch
        command.expectation = definition.expected(own.patch)
        sent.append((target, command))
    JobTarget.objects.bulk_update(skipped, ["skip_reason"])
    supersede_configs(
        [command.device_id for _, command in sent], moves, asked_at=job.asked_at
    )
    return sent, remarks


def _skip_reason(job: Job, connectivity: str) -> str:
    if job.command_class == CommandClass.CONTROL and connectivity != "online":
        return f"is {connectivity}: real-time commands need an online device"
    if job.rollout["offline"] == "skip":
        return _OFFLINE.get(connectivity, "")
    return ""


def _allowance(job: Job, now: datetime) -> int:
    """Return how many commands the rate allows now, spread evenly over the minute."""
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


def _go_on_after_pause(job: Job, paused_at: datetime) -> None:
    """Move the times of its open commands on by the pause, in one statement.

    A queued command stays due, and what a device asked for stays at its time.
    """
    bulk_sql.run(_AFTER_PAUSE, [job.status_since, paused_at, job.deadline, job.pk])
    job.paused_at = None
    job.save(update_fields=["paused_at"])


def _room(job: Job) -> int:
    """Return how many more members may wait for an answer at the same time."""
    own = job.rollout.get("max_in_flight", MAX_IN_FLIGHT)
    return int(
        min(
            own - count_unanswered(job_id=job.pk),
            TENANT_IN_FLIGHT - count_unanswered_of_tenant(tenant_id=job.tenant_id),
        )
    )


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
