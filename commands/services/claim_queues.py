"""Which commands an adapter claims next: lane by lane, tenants in turn.

The commands that wait for an adapter stand in queues: one for each lane, tenant and
job. The index of the queues is read from queue to queue, so what may not be sent now (a
paused job, another adapter's devices) costs one look, however long its queue is.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple, TypeVar

from commands.choices import Lane
from commands.lifecycle import JOB_HOLDS_BACK
from commands.services.job_rooms import lock_tight_rooms, within_rooms
from iotplatform.common import bulk_sql
from registry.choices import TAKES_COMMANDS

T = TypeVar("T")
NO_JOB = 0


class Queue(NamedTuple):
    """Commands of one lane, tenant and job; NO_JOB: single commands."""

    lane: int
    tenant_id: int
    job_id: int


# OFFSET 0 and ARRAY() keep the planner on the keys, even while it has no statistics of
# a table that was just filled.
_WAITING = "c.status = 'queued' AND c.claim_token IS NULL AND c.adapter = %s"
_QUEUE = "c.lane, c.tenant_id, c.job_queue"
_QUEUES = f"""
    WITH RECURSIVE queues AS (
        (SELECT {_QUEUE} AS job_id FROM commands_command c WHERE {_WAITING}
            ORDER BY {_QUEUE} LIMIT 1)
        UNION ALL
        SELECT n.* FROM queues q CROSS JOIN LATERAL (
            (SELECT {_QUEUE} FROM commands_command c WHERE {_WAITING}
                AND c.lane = q.lane AND c.tenant_id = q.tenant_id
                AND c.job_queue > q.job_id
                ORDER BY c.job_queue LIMIT 1)
            UNION ALL
            (SELECT {_QUEUE} FROM commands_command c WHERE {_WAITING}
                AND c.lane = q.lane AND c.tenant_id > q.tenant_id
                ORDER BY c.tenant_id, c.job_queue LIMIT 1)
            UNION ALL
            (SELECT {_QUEUE} FROM commands_command c WHERE {_WAITING}
                AND c.lane > q.lane ORDER BY {_QUEUE} LIMIT 1)
            ORDER BY 1, 2, 3 LIMIT 1
        ) n
    )
    SELECT q.lane, q.tenant_id, q.job_id FROM queues q
    LEFT JOIN LATERAL (
        SELECT status FROM commands_job WHERE id = q.job_id OFFSET 0
    ) j ON true
    WHERE (q.job_id = {NO_JOB} OR j.status <> ALL(%s::text[])
            OR (q.lane = {Lane.BY_HAND.value} AND j.status <> 'cancelled'))
        AND EXISTS (
            SELECT FROM commands_command c
            WHERE {_WAITING} AND ({_QUEUE}) = (q.lane, q.tenant_id, q.job_id)
                AND c.due_at <= %s AND c.expires_at > %s
        )
    ORDER BY 1, 2, 3
"""
# The claim and its token in one statement: rows that another adapter locks are skipped,
# and a new token makes every older one worthless.
_CLAIM = f"""
    WITH due AS MATERIALIZED (
        SELECT c.id
        FROM unnest(%s::int[], %s::bigint[], %s::bigint[], %s::int[])
            AS q(lane, tenant_id, job_id, share)
        CROSS JOIN LATERAL (
            SELECT c.id FROM commands_command c
            CROSS JOIN LATERAL (
                SELECT adapter, lifecycle FROM registry_device
                WHERE id = c.device_id OFFSET 0
            ) d
            WHERE {_WAITING} AND c.lane = q.lane AND c.tenant_id = q.tenant_id
                AND c.job_queue = q.job_id
                AND c.due_at <= %s AND c.expires_at > %s
                AND d.adapter = c.adapter AND d.lifecycle = ANY(%s::text[])
            ORDER BY c.due_at, c.id
            LIMIT q.share
            FOR UPDATE OF c SKIP LOCKED
        ) c
    )
    UPDATE commands_command c
    SET claim_token = gen_random_uuid(), attempt_count = attempt_count + 1,
        claimed_until = %s, due_at = %s
    WHERE c.id = ANY(ARRAY(SELECT id FROM due))
    RETURNING c.id, {_QUEUE}
"""
# A poll names its devices: their open commands are few, and need no turns.
_OF_DEVICES = f"""
    FROM commands_command c
    CROSS JOIN LATERAL (
        SELECT adapter, lifecycle FROM registry_device
        WHERE id = c.device_id OFFSET 0
    ) d
    LEFT JOIN LATERAL (
        SELECT status FROM commands_job WHERE id = c.job_id OFFSET 0
    ) j ON true
    WHERE c.device_id = ANY(%s::bigint[]) AND c.ended_at IS NULL
        AND c.status = 'queued' AND c.claim_token IS NULL AND d.adapter = %s
        AND c.due_at <= %s AND c.expires_at > %s
        AND d.lifecycle = ANY(%s::text[])
        AND (c.job_id IS NULL OR j.status <> ALL(%s::text[])
            OR (c.lane = {Lane.BY_HAND.value} AND j.status <> 'cancelled'))
"""
_OF_JOBS = f"""
    SELECT c.id, c.job_id {_OF_DEVICES} AND c.job_id IS NOT NULL
    ORDER BY c.lane, c.due_at, c.id
"""
_CLAIM_OF_DEVICES = f"""
    WITH due AS MATERIALIZED (
        SELECT c.id {_OF_DEVICES} AND c.id <> ALL(%s::bigint[])
        ORDER BY c.lane, c.due_at, c.id
        LIMIT %s
        FOR UPDATE OF c SKIP LOCKED
    )
    UPDATE commands_command c
    SET claim_token = gen_random_uuid(), attempt_count = attempt_count + 1,
        claimed_until = %s, due_at = %s
    WHERE c.id = ANY(ARRAY(SELECT id FROM due))
    RETURNING c.id
"""
_POSTPONE = """
    UPDATE commands_command SET due_at = %s
    WHERE id = ANY(ARRAY(
        SELECT id FROM commands_command
        WHERE id = ANY(%s::bigint[]) AND status = 'queued' AND claim_token IS NULL
        ORDER BY id FOR UPDATE SKIP LOCKED
    ))
"""
# A poll that waits ends when something is due: what has no room must not be.
LOOK_AGAIN = timedelta(seconds=2)
LIFECYCLES = [str(lifecycle) for lifecycle in TAKES_COMMANDS]
HOLDING = [str(status) for status in JOB_HOLDS_BACK]


def claim_of_devices(
    device_ids: Sequence[int],
    *,
    adapter: str,
    limit: int,
    now: datetime,
    until: datetime,
) -> list[int]:
    """Claim due commands of these devices; return their keys.

    What has no room in its job is due again a little later.
    """
    wanted = [sorted(device_ids), adapter, now, now, LIFECYCLES, HOLDING]
    of_jobs = bulk_sql.fetch(_OF_JOBS, wanted)
    rooms = lock_tight_rooms([job_id for _, job_id in of_jobs])
    _, left = within_rooms(of_jobs, rooms)
    if left:
        bulk_sql.run(_POSTPONE, [now + LOOK_AGAIN, left])
    values = [*wanted, left, limit, until, until]
    return [pk for (pk,) in bulk_sql.fetch(_CLAIM_OF_DEVICES, values)]


def claim_in_turns(
    *, adapter: str, limit: int, now: datetime, until: datetime
) -> list[int]:
    """Claim due commands of an adapter, of each lane in turns of tenants.

    Of a job no more than have room, as ``job_rooms`` says.
    """
    claimed: list[int] = []
    waiting = list_queues(adapter=adapter, now=now)
    rooms = lock_tight_rooms([q.job_id for q in waiting if q.job_id != NO_JOB])
    for _, group in groupby(waiting, key=lambda queue: queue.lane):
        queues = list(group)
        while queues and len(claimed) < limit:
            queues = [q for q in queues if rooms.get(q.job_id, 1) > 0]
            if not queues:
                break
            shares = share_out(queues, limit - len(claimed), first=random.random())
            shares = {q: min(n, rooms.get(q.job_id, n)) for q, n in shares.items()}
            found = _claim(shares, adapter=adapter, now=now, until=until)
            claimed += [pk for pk, *_ in found]
            got = Counter(Queue(*queue) for _, *queue in found)
            for queue, count in got.items():
                if queue.job_id in rooms:
                    rooms[queue.job_id] -= count
            # Who had less than its share has no more.
            queues = [q for q, share in shares.items() if got[q] == share]
    return claimed


def list_queues(*, adapter: str, now: datetime) -> list[Queue]:
    """Return the queues in which something may be sent now, lane by lane."""
    values = [*[adapter] * 4, HOLDING, adapter, now, now]
    return [Queue(*row) for row in bulk_sql.fetch(_QUEUES, values)]


def share_out(queues: Sequence[Queue], limit: int, *, first: float) -> dict[Queue, int]:
    """Divide ``limit`` among tenants, and each tenant's part among its queues.

    ``first`` (0 to 1) says with which one it begins, so that remainders go round.
    """
    by_tenant: dict[int, list[Queue]] = {}
    for queue in queues:
        by_tenant.setdefault(queue.tenant_id, []).append(queue)
    shares: dict[Queue, int] = {}
    tenants = _rotated(list(by_tenant.values()), first)
    for own, part in zip(tenants, _parts(limit, len(tenants)), strict=True):
        ordered = _rotated(own, first)
        shares |= zip(ordered, _parts(part, len(ordered)), strict=True)
    return {queue: share for queue, share in shares.items() if share}


def _claim(
    shares: dict[Queue, int], *, adapter: str, now: datetime, until: datetime
) -> list[tuple[int, int, int, int]]:
    columns = [list(column) for column in zip(*shares, strict=True)]
    values = [*columns, list(shares.values()), adapter, now, now, LIFECYCLES]
    return bulk_sql.fetch(_CLAIM, [*values, until, until])


def _parts(total: int, count: int) -> list[int]:
    each, rest = divmod(total, count)
    return [each + (place < rest) for place in range(count)]


def _rotated(items: list[T], first: float) -> list[T]:
    start = int(first * len(items)) % len(items)
    return items[start:] + items[:start]
