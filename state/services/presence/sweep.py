"""Judge what time alone changes: silence, sleep, the 72-hour count."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction

from iotplatform.common import bulk_sql
from state.services.presence.apply_verdicts import judge_rows, recount
from state.services.presence.evidence import FUTURE_TOLERANCE, clamp_to_now
from state.services.presence.locked_rows import (
    PresenceRow,
    lock_rows,
    read_rows,
)
from state.services.presence.steady_devices import (
    list_changed_across_tenants,
    postpone_steady_across_tenants,
)

logger = logging.getLogger(__name__)

BATCH = 1_000  # rows locked at a time: a bridge that needs them waits for some 50 ms
# The limit of one run; the rest is left to the next run, a second later.
JUDGED_A_RUN = 50_000
# A transition is visible only after its commit; no batch takes nearly this long.
COMMIT_MARGIN = timedelta(seconds=30)
GATEWAYS = "gateways"

_DUE = """
    SELECT device_id FROM state_presence
    WHERE device_id = ANY(%s) AND next_change_at <= %s
    ORDER BY device_id FOR UPDATE SKIP LOCKED
"""
# Checks that were planned by a clock that has been set back since.
_LOOK_AT_ALL = """
    UPDATE state_presence SET next_change_at = %s WHERE device_id IN (
        SELECT device_id FROM state_presence WHERE next_change_at > %s
        ORDER BY device_id FOR UPDATE
    )
"""
_MARK = "SELECT at FROM state_sweepmark WHERE name = %s"
_SET_MARK = """
    INSERT INTO state_sweepmark (name, at) VALUES (%s, %s)
    ON CONFLICT (name) DO UPDATE SET at = excluded.at
"""
# Children whose verdict does not fit a gateway that changed lately. A locked row is
# skipped and found a second later: the margin makes each change visible many times.
_WAKE_CHILDREN = """
    UPDATE state_presence SET next_change_at = %s WHERE device_id IN (
        SELECT c.device_id
        FROM state_presence g
        JOIN registry_device d ON d.gateway_id = g.device_id
        JOIN state_presence c ON c.device_id = d.id
        WHERE g.device_id IN (
            SELECT t.device_id FROM state_connectivitytransition t
            JOIN registry_device gd ON gd.id = t.device_id AND gd.kind = 'gateway'
            WHERE t.at > %s
        )
        AND (c.next_change_at IS NULL OR c.next_change_at > %s)
        AND CASE WHEN g.connectivity = 'online'
            THEN c.cause IN ('gateway_offline', 'platform_blind')
            WHEN c.cause = 'platform_blind'
            THEN c.next_change_at IS NULL AND g.cause <> 'platform_blind'
            ELSE c.cause NOT IN ('gateway_offline', 'never_connected', 'sleeping')
            END
        FOR UPDATE OF c SKIP LOCKED
    )
"""


def sweep_across_tenants(*, now: datetime, limit: int = JUDGED_A_RUN) -> int:
    """Judge the due devices; return how many may have changed.

    Safe beside bridges and other sweeps: rows locked by others are skipped.
    """
    changed = sorted(list_changed_across_tenants(now=now, limit=limit))
    for begin in range(0, len(changed), BATCH):
        _judge(changed[begin : begin + BATCH], now=now)
    postpone_steady_across_tenants(now=now)
    return len(changed)


@transaction.atomic
def _judge(device_ids: list[int], *, now: datetime) -> None:
    """Judge those of these devices that are still due and not locked by others."""
    due = [row[0] for row in bulk_sql.fetch(_DUE, [device_ids, now])]
    if not due:
        return
    locked = lock_rows(due)
    for row in locked.rows.values():
        clamp_to_now(row, now)
    recount(locked.rows.values(), now=now)
    gateways = locked.rows | _judged_gateways(locked.rows, now)
    judge_rows(locked.rows.values(), gateways, now=now, exact=True)
    locked.write()


def wake_children_across_tenants(*, now: datetime) -> int:
    """Make the children of lately changed gateways due; return how many."""
    with transaction.atomic():
        mark = bulk_sql.fetch(_MARK, [GATEWAYS])
        last = mark[0][0] if mark else now
        if last > now + FUTURE_TOLERANCE:
            logger.warning("the clock was set back; checking every device")
            bulk_sql.run(_LOOK_AT_ALL, [now, now])
        since = min(last, now) - COMMIT_MARGIN
        woken = bulk_sql.run(_WAKE_CHILDREN, [now, since, now])
        bulk_sql.run(_SET_MARK, [GATEWAYS, now])
    return woken


def _judged_gateways(
    rows: dict[int, PresenceRow], now: datetime
) -> dict[int, PresenceRow]:
    """Return the gateways of these rows as they would be judged now; write nothing.

    A gateway that is due itself may be in a later batch, or locked by others.
    """
    wanted = {row.gateway_id for row in rows.values() if row.gateway_id is not None}
    gateways = read_rows(wanted - rows.keys()) if wanted - rows.keys() else {}
    judge_rows(gateways.values(), {}, now=now, exact=False, record=False)
    return gateways
