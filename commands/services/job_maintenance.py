"""Maintenance of a job's members: suppress alarms while a job works on them.

It lasts from the moment that a member's command is sent until the command ends, at most
as long as its policy allows. A member that is offline has no maintenance while it
waits: nothing works on it yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from commands.models import Job
from commands.selectors.claimed import ClaimedCommand
from state.services.maintenance import end_for_devices, open_for_devices

STEPS = ("receive_timeout", "execute_timeout", "verify_timeout")

# Members whose command has ended, without another open command of the same job.
_ENDED = """
    SELECT DISTINCT c.job_id, c.device_id FROM commands_command c
    WHERE c.device_id = ANY(%s) AND c.job_id IS NOT NULL AND c.ended_at > %s
        AND NOT EXISTS (SELECT FROM commands_command o
            WHERE o.device_id = c.device_id AND o.job_id = c.job_id
                AND o.ended_at IS NULL)
"""
# Ended commands are reported within seconds; older maintenance has ended by itself.
LATELY = timedelta(hours=1)


def begin(commands: Sequence[ClaimedCommand], now: datetime) -> None:
    """Begin maintenance of the job members that these commands are sent to."""
    by_job: dict[int, list[ClaimedCommand]] = defaultdict(list)
    for command in commands:
        if command.job_id is not None:
            by_job[command.job_id].append(command)
    for job in Job.objects.filter(pk__in=by_job).order_by("pk"):
        group = by_job[job.pk]
        longest = max(longest_maintenance(command.policy) for command in group)
        open_for_devices(
            [command.device_id for command in group],
            from_at=now,
            until=now + longest,
            reason=_reason(job),
            origin=_origin(job),
        )


def end(device_ids: Collection[int], *, now: datetime) -> None:
    """End the maintenance of those devices whose command of a job has ended."""
    by_job: dict[int, list[int]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_ENDED, [sorted(device_ids), now - LATELY])
        for job_id, device_id in cursor.fetchall():
            by_job[job_id].append(device_id)
    for job in Job.objects.filter(pk__in=by_job).order_by("pk"):
        end_for_devices(
            by_job[job.pk], reason=_reason(job), origin=_origin(job), at=now
        )


def longest_maintenance(policy: Mapping[str, Any]) -> timedelta:
    """Return for how long the alarms of a member are held back at most."""
    return timedelta(seconds=sum(policy[f"{step}_seconds"] for step in STEPS))


def _reason(job: Job) -> str:
    return f"job {job.name}"[:200]


def _origin(job: Job) -> str:
    return f"job:{job.public_id}"
