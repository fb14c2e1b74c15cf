"""What a job waits for and until when: figures for its page, words for the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db.models import Case, Count, Min, OuterRef, Q, Subquery, When
from django.db.models.functions import JSONObject

from commands.choices import (
    CommandStatus,
    FailureClass,
    JobStatus,
    WaitsFor,
    WaveStatus,
)
from commands.lifecycle import OPEN, UNDERWAY
from commands.models import Command, Job, JobWave
from commands.rollouts import APPROVAL_LAPSES_AFTER, MAX_IN_FLIGHT
from commands.selectors.gateway_systems import Waiting, count_waiting
from commands.selectors.job_members import count_pending_by_zone
from commands.selectors.job_tallies import Tally
from commands.selectors.jobs import JobCounts
from commands.windows import next_opening, window_words, zone_named
from iotplatform.common import bulk_sql
from iotplatform.common.counts import counted

S, J = CommandStatus, JobStatus
ANSWERS = Q(status__in=UNDERWAY)
RETRIES = Q(status=S.QUEUED, attempt_count__gt=0)
OFFLINE = Q(status=S.HELD, waits_for=WaitsFor.DEVICE) | Q(
    status=S.HELD, failure_class=FailureClass.GATEWAY_UNREACHABLE
)
_OPEN_MEMBERS = """
    SELECT m.job_id, m.wave, m.is_away, count(*), max(m.until) FROM (
        SELECT t.job_id, t.wave, greatest(c.expires_at, c.due_at) AS until,
            c.status = 'held' AND (c.waits_for = 'device'
                OR c.failure_class = 'gateway_unreachable') AS is_away
        FROM commands_command c JOIN commands_jobtarget t ON t.command_id = c.id
        WHERE c.job_id = ANY(%s::bigint[]) AND c.status = ANY(%s::text[])
            AND c.ended_at IS NULL
    ) m GROUP BY 1, 2, 3
"""


@dataclass(frozen=True)
class JobWaits:
    """Devices that a job waits for, and when the platform does something next."""

    devices: int = 0  # that have the command, or get it again
    offline: int = 0
    next_retry_at: datetime | None = None
    answer_due_at: datetime | None = None


@dataclass
class OpenMembers:
    """When the last open member of each wave ends at the latest, and of all waves."""

    by_wave: dict[int | None, datetime] = field(default_factory=dict)
    away: int = 0
    others: int = 0
    until: datetime | None = None


# An annotation of a query of jobs: what ``waits_of`` needs, without another query.
WAITS: dict[str, Case] = {
    "waits_row": Case(
        When(
            status=J.RUNNING,
            then=Subquery(
                Command.objects.filter(job=OuterRef("pk"), ended_at__isnull=True)
                .order_by()
                .values("job")
                .annotate(
                    found=JSONObject(
                        devices=Count("pk", filter=ANSWERS | RETRIES),
                        offline=Count("pk", filter=OFFLINE),
                        next_retry_at=Min("due_at", filter=RETRIES),
                        answer_due_at=Min("due_at", filter=ANSWERS),
                    )
                )
                .values("found")
            ),
        )
    )
}


def waits_of(job: Any) -> JobWaits:
    """Return what the open commands of a job wait for; it was read with WAITS."""
    return msgspec.convert(job.waits_row or {}, JobWaits)


def describe_waits(
    jobs: Collection[Job], counts: Mapping[int, JobCounts], *, now: datetime
) -> dict[int, str | None]:
    """Return in words what each job waits for; None: it does not wait."""
    running = [job for job in jobs if job.status == J.RUNNING]
    members: dict[int, OpenMembers] = defaultdict(OpenMembers)
    if running:
        _read_open_members([job.pk for job in running], members)
    held_back = describe_systems(running) | describe_closed_windows(running, now)
    return {
        job.pk: held_back.get(job.pk)
        or _running(job, counts[job.pk].waves, members[job.pk], now)
        if job.status == J.RUNNING
        else _at_rest(job, now)
        for job in jobs
    }


def _read_open_members(job_ids: list[int], into: dict[int, OpenMembers]) -> None:
    rows = bulk_sql.fetch(_OPEN_MEMBERS, [job_ids, [str(status) for status in OPEN]])
    for job_id, wave, is_away, devices, until in rows:
        found = into[job_id]
        found.until = max(found.until or until, until)
        if is_away:
            found.away += devices
        else:
            found.others += devices
            found.by_wave[wave] = until


def describe_closed_windows(running: Collection[Job], now: datetime) -> dict[int, str]:
    """Say which jobs wait only for the windows of their next members' sites."""
    with_window = {job.pk: job for job in running if job.rollout.get("window")}
    if not with_window:
        return {}
    found = {}
    for job_id, zones in count_pending_by_zone(list(with_window)).items():
        window = with_window[job_id].rollout["window"]
        opens = [next_opening(window, zone_named(name), now) for name in zones]
        if now in opens:
            continue
        words = f"waiting for the window {window_words(window)} (local time) of"
        words += f" {counted(sum(zones.values()), 'device')}"
        if times := [at for at in opens if at is not None]:
            words += f"; it opens next at {instant_words(min(times), now)}"
        found[job_id] = words
    return found


def describe_systems(running: Collection[Job]) -> dict[int, str]:
    """Say which jobs have members that wait for their gateway or their children."""
    ids = [job.pk for job in running if job.rollout.get("combinations")]
    words: dict[int, list[str]] = defaultdict(list)
    for waiting in count_waiting(ids) if ids else ():
        words[waiting.job_id].append(_for_system(waiting))
    return {job_id: "; ".join(parts) for job_id, parts in words.items()}


def _for_system(waiting: Waiting) -> str:
    """Name the gateway or child that is waited for where only one waits."""
    if waiting.members == 1:
        if waiting.is_gateway:
            return f"1 gateway is waiting for its children, {waiting.other}"
        return f"1 child device is waiting for its gateway {waiting.other}"
    if waiting.is_gateway:
        return f"{waiting.members:,} gateways are waiting for their children"
    return f"{waiting.members:,} child devices are waiting for their gateways"


def _at_rest(job: Job, now: datetime) -> str | None:
    if job.status == J.AWAITING_APPROVAL:
        lapses = instant_words(job.status_since + APPROVAL_LAPSES_AFTER, now)
        return f"waiting for the approval of a second person, until {lapses}"
    if job.status == J.SCHEDULED and job.start_at:
        return f"waiting for its start, {instant_words(job.start_at, now)}"
    return {
        J.DRAFT: "waiting for a person to start it",
        J.SCHEDULED: "waiting for its start",
        J.PAUSED: "waiting for a person to resume or cancel it",
        J.STOPPED: "waiting for a person to resume or cancel it",
    }.get(J(job.status))


def _running(
    job: Job,
    waves: list[tuple[JobWave, Tally]],
    members: OpenMembers,
    now: datetime,
) -> str | None:
    for wave, tally in waves:
        if wave.status == WaveStatus.RELEASED:
            return _for_answers(job, wave, tally, members, now)
    if any(wave.status == WaveStatus.PENDING for wave, _ in waves):
        return _for_soak(job, [wave for wave, _ in waves], now)
    until = f", until {instant_words(members.until, now)}" if members.until else ""
    if members.away:
        return f"waiting for {counted(members.away, 'offline device')}{until}"
    if members.others:
        return f"waiting for {counted(members.others, 'device')}{until}"
    return None


def _for_answers(
    job: Job, wave: JobWave, tally: Tally, members: OpenMembers, now: datetime
) -> str | None:
    """Say which answers the next members, or the next wave, wait for."""
    is_full = tally.open >= job.rollout.get("max_in_flight", MAX_IN_FLIGHT)
    if not tally.open or (tally.pending and not is_full):
        return None
    name = "the canary" if wave.is_canary else f"wave {wave.number}"
    words = f"waiting for {counted(tally.open, 'device')} of {name}"
    until = members.by_wave.get(wave.number)
    return f"{words}, until {instant_words(until, now)}" if until else words


def _for_soak(job: Job, waves: list[JobWave], now: datetime) -> str | None:
    ended = [wave for wave in waves if wave.ended_at is not None]
    if not ended:
        return None
    last = max(ended, key=lambda wave: wave.ended_at or now)
    assert last.ended_at is not None
    until = last.ended_at + timedelta(seconds=job.rollout.get("soak_seconds", 0))
    if until <= now:
        return None
    name = "the canary" if last.is_canary else f"wave {last.number}"
    return f"watching {name} before the next wave, until {instant_words(until, now)}"


def instant_words(at: datetime, now: datetime) -> str:
    """Return the time of day in UTC, with the date unless it is today."""
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%F %H:%M:%S} UTC"
