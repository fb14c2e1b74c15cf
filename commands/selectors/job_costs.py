"""What a planned job costs: bytes to the devices, and the time that past jobs took."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec
from django.db import connection

from commands.choices import JobStatus
from commands.definitions import UPDATE_FIRMWARE
from commands.judgment.job_cost import PastJob, expected_seconds
from commands.models import Job
from registry.models import Tenant
from registry.selectors.firmware import bytes_of_version

PAST_JOBS = 20
# Answers of one past job; more change no percentile that anybody can see.
ANSWERS = 500
# Topic, id, attempt, expiry and what TCP and MQTT put around one message.
ENVELOPE_BYTES = 220

_ANSWERS = """
    SELECT j.id, a.seconds, a.attempts
    FROM unnest(%s::bigint[]) AS j(id), LATERAL (
        SELECT extract(epoch FROM c.ended_at - c.created_at)::float8 AS seconds,
            c.attempt_count AS attempts
        FROM commands_jobtarget t JOIN commands_command c ON c.id = t.command_id
        WHERE t.job_id = j.id AND c.ended_at IS NOT NULL
        ORDER BY t.id LIMIT %s
    ) a
"""
_COURSES = """
    SELECT w.job_id, array_agg(w.size ORDER BY w.number), min(w.released_at),
        EXISTS (SELECT FROM commands_jobevent e
            WHERE e.job_id = w.job_id AND e.status = 'paused')
    FROM commands_jobwave w WHERE w.job_id = ANY(%s) AND w.size > 0 GROUP BY w.job_id
"""


def estimate_cost(
    tenant: Tenant,
    device_ids: Collection[int],
    *,
    command_name: str,
    params: Mapping[str, Any],
    waves: Sequence[int],
    rollout: Mapping[str, Any],
    seed: str,
) -> dict[str, Any]:
    """Return ``bytes`` and ``seconds`` of a job for these devices.

    ``seconds`` is ``{low, likely, high}``, an 80 % interval, or None where no job of
    this command has been completed; ``past_jobs`` says from how many it comes.
    """
    jobs = Job.objects.filter(
        tenant=tenant, status=JobStatus.COMPLETED, command_name=command_name
    )
    recent = list(jobs.order_by("-id")[:PAST_JOBS])
    past, tries = _past_of(recent)
    interval = expected_seconds(waves, rollout, past, seed=seed)
    message = len(msgspec.json.encode(params)) + ENVELOPE_BYTES
    total = round(message * max(tries, 1.0) * len(device_ids))
    if command_name == UPDATE_FIRMWARE:
        total += bytes_of_version(tenant, str(params.get("version", "")), device_ids)
    return {
        "bytes": total,
        "seconds": asdict(interval) if interval else None,
        "past_jobs": len(past),
    }


def _past_of(jobs: Sequence[Job]) -> tuple[list[PastJob], float]:
    """Return the jobs whose members answered, and the attempts of a command."""
    ids = [job.pk for job in jobs]
    seconds: dict[int, list[float]] = {}
    attempts: list[int] = []
    with connection.cursor() as cursor:
        cursor.execute(_ANSWERS, [ids, ANSWERS])
        for job_id, took, count in cursor:
            seconds.setdefault(job_id, []).append(max(took, 0.0))
            attempts.append(count)
        cursor.execute(_COURSES, [ids])
        courses = {row[0]: row[1:] for row in cursor}
    past = []
    for job in jobs:
        if job.pk not in seconds:
            continue
        sizes, released_at, was_paused = courses.get(job.pk, ([], None, False))
        is_plain = released_at and job.ended_at and not was_paused
        plain = is_plain and not job.rollout["window"]
        took = (job.ended_at - released_at).total_seconds() if plain else None
        past.append(PastJob(sorted(seconds[job.pk]), sizes, job.rollout, took))
    return past, sum(attempts) / len(attempts) if attempts else 1.0
