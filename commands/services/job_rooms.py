"""How many more members of a job may be sent: retried ones wait for room as well.

The hand-out of a wave keeps within ``max_in_flight``. What a person retries is queued
all at once; an adapter claims of it only as many as have room.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from commands.choices import CommandStatus
from commands.lifecycle import UNDERWAY
from commands.rollouts import MAX_IN_FLIGHT
from iotplatform.common import bulk_sql

LOCK_CLASS = 0x4A4F4253  # "JOBS", to differ from other advisory locks
# Of most jobs fewer are queued than have room: their claims wait for nobody.
_TIGHT = f"""
    SELECT j.id FROM commands_job j WHERE j.id = ANY(%s::bigint[])
        AND (SELECT sum(n.members) FROM commands_jobcount n WHERE n.job_id = j.id
            AND n.status = ANY(%s::text[]) AND NOT n.is_passed_over)
        > coalesce((j.rollout ->> 'max_in_flight')::int, {MAX_IN_FLIGHT})
    ORDER BY j.id
"""
# One claim at a time looks at the room of such a job; the locks end with the claim.
_LOCK = """
    SELECT count(pg_advisory_xact_lock(%s, j.id::int))
    FROM (SELECT id FROM unnest(%s::bigint[]) AS v(id) ORDER BY id) j
"""
_ROOMS = f"""
    SELECT j.id,
        coalesce((j.rollout ->> 'max_in_flight')::int, {MAX_IN_FLIGHT}) - count(c.id)
    FROM commands_job j LEFT JOIN commands_command c ON c.job_id = j.id
        AND (c.status = ANY(%s::text[])
            OR c.status = '{CommandStatus.QUEUED.value}' AND c.claim_token IS NOT NULL)
        AND NOT EXISTS (SELECT FROM commands_jobtarget t
            WHERE t.command_id = c.id AND t.is_passed_over)
    WHERE j.id = ANY(%s::bigint[]) GROUP BY j.id
"""
_SENT = [str(status) for status in sorted(UNDERWAY)]


def lock_tight_rooms(job_ids: Collection[int]) -> dict[int, int]:
    """Return how many more members may be sent, of jobs that have more than that.

    To be called in the transaction of the claim, before it locks a command.
    """
    wanted = sorted(set(job_ids))
    if not wanted:
        return {}
    unanswered = [CommandStatus.QUEUED.value, *_SENT]
    tight = [pk for (pk,) in bulk_sql.fetch(_TIGHT, [wanted, unanswered])]
    if not tight:
        return {}
    bulk_sql.fetch(_LOCK, [LOCK_CLASS, tight])
    return {pk: max(0, room) for pk, room in bulk_sql.fetch(_ROOMS, [_SENT, tight])}


def within_rooms(
    candidates: Sequence[tuple[int, int]], rooms: dict[int, int]
) -> tuple[list[int], list[int]]:
    """Divide commands, given with their jobs, into those that have room and others."""
    kept, left = [], []
    rooms = dict(rooms)
    for pk, job_id in candidates:
        if rooms.get(job_id, 1) > 0:
            kept.append(pk)
            if job_id in rooms:
                rooms[job_id] -= 1
        else:
            left.append(pk)
    return kept, left
