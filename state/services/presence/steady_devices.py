"""Find steady devices by SQL: due for a check, but heard recently and still online.

Nearly every due device is steady. These statements apply the last rule of
``judgment.connectivity.judge`` to the whole fleet; all other devices are left to
``judge``. A test checks that both give the same answers.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import transaction

from iotplatform.common import bulk_sql
from iotplatform.common.batches import until_drained
from state.judgment.connectivity import SUSPECT_AFTER
from state.services.presence.evidence import FUTURE_TOLERANCE

# Rows that one statement locks: a bridge that needs them waits for some 50 ms.
POSTPONED_AT_ONCE = 2_000
# 1,000,000 devices with a heartbeat a minute are 11,000 rows a second. After an outage
# of the sweep, the rest is cheap to read and follows in the next seconds.
BATCHES_A_RUN = 15

# Names are constants of this module, never anybody's input.
_OWN = """
    JOIN registry_device d ON d.id = p.device_id
    JOIN registry_product r ON r.id = d.product_id
"""
_GATEWAY = """
    LEFT JOIN state_presence g ON g.device_id = d.gateway_id
    LEFT JOIN registry_device gd ON gd.id = d.gateway_id
    LEFT JOIN registry_product gr ON gr.id = gd.product_id
"""


def _interval(presence: str, product: str) -> str:
    return (
        f"make_interval(secs => {SUSPECT_AFTER} * coalesce("
        f"nullif({presence}.heartbeat_seconds, 0), {product}.heartbeat_seconds))"
    )


# greatest() ignores nulls, as the judgment does.
_LOOK_AT = f"greatest(p.last_activity_at, p.sleeping_until) + {_interval('p', 'r')}"
_CHILD_LOOK_AT = (
    f"greatest(p.last_activity_at, p.sleeping_until, g.since) + {_interval('p', 'r')}"
)
_GATEWAY_LOOK_AT = (
    f"greatest(g.last_activity_at, g.sleeping_until) + {_interval('g', 'gr')}"
)


def _heard(row: str, look_at: str) -> str:
    """Return the SQL condition that a row is online and stays online."""
    return f"""
        {row}.connectivity = 'online' AND {row}.cause = ''
        AND {row}.last_seen_at <= {row}.last_activity_at
        AND ({row}.left_how = '' OR {row}.left_session NOT IN ('', {row}.session))
        AND ({row}.sleeping_until IS NULL OR {row}.sleeping_until <= v.now)
        AND {look_at} > v.now
        AND {row}.last_activity_at <= v.now + interval '{FUTURE_TOLERANCE.seconds} s'
    """


_NOT_COUNTED = "(p.recount_at IS NULL OR p.recount_at > v.now)"
_STEADY = f"({_heard('p', _LOOK_AT)} AND {_NOT_COUNTED})"
_STEADY_CHILD = f"""({_heard("p", _CHILD_LOOK_AT)} AND {_NOT_COUNTED}
    AND gd.gateway_id IS NULL AND {_heard("g", _GATEWAY_LOOK_AT)})"""
# Two parts: few devices have a gateway, and joining it for all would cost the most.
_CHANGED = f"""
    SELECT p.device_id FROM (SELECT %s::timestamptz AS now) v
    JOIN state_presence p ON p.next_change_at <= v.now {_OWN}
    WHERE d.gateway_id IS NULL AND {_STEADY} IS NOT TRUE
    UNION ALL
    SELECT p.device_id FROM (SELECT %s::timestamptz AS now) v
    JOIN state_presence p ON p.next_change_at <= v.now {_OWN} {_GATEWAY}
    WHERE d.gateway_id IS NOT NULL AND {_STEADY_CHILD} IS NOT TRUE
    LIMIT %s
"""
_POSTPONE = f"""
    WITH due AS MATERIALIZED (
        SELECT device_id FROM state_presence WHERE next_change_at <= %s
        ORDER BY next_change_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE state_presence AS p SET next_change_at = f.next_change_at,
        activity_bucket = f.activity_bucket
    FROM (
        SELECT p.device_id, least({_CHILD_LOOK_AT}, p.recount_at) AS next_change_at,
            date_trunc('hour', p.last_activity_at, 'UTC') AS activity_bucket
        FROM due CROSS JOIN (SELECT %s::timestamptz AS now) v
        JOIN state_presence p ON p.device_id = due.device_id {_OWN} {_GATEWAY}
        WHERE CASE WHEN d.gateway_id IS NULL THEN {_STEADY} ELSE {_STEADY_CHILD} END
    ) f
    WHERE p.device_id = f.device_id AND p.next_change_at <= %s
"""


def list_changed_across_tenants(*, now: datetime, limit: int) -> list[int]:
    """Return due devices that are not steady, so their verdict may change."""
    return [row[0] for row in bulk_sql.fetch(_CHANGED, [now, now, limit])]


def postpone_steady_across_tenants(*, now: datetime) -> int:
    """Set the next check of due steady devices; return how many."""
    return until_drained(
        partial(_postpone, now), batch=POSTPONED_AT_ONCE, most=BATCHES_A_RUN
    )


@transaction.atomic
def _postpone(now: datetime) -> int:
    return bulk_sql.run(_POSTPONE, [now, POSTPONED_AT_ONCE, now, now])
