"""What the command plane tells state: how commands end, and how paths deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from iotplatform.common import bulk_sql
from state.services.risk_marks import mark_for_risk


@dataclass(frozen=True, slots=True)
class Outcomes:
    """How the newest commands of a device ended."""

    device_id: int
    ended: int
    failed: int
    last_failed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an adapter path delivers lately, and how it usually does."""

    adapter: str
    tries: int
    unanswered: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    usual_p95_ms: float | None


# Only what differs is written, and only that makes a risk be judged again.
_TALLY = """
    INSERT INTO state_commandtally AS t
        (device_id, tenant_id, ended, failed, last_failed_at, at)
    SELECT d.id, d.tenant_id, v.ended, v.failed, v.last_failed_at, %s
    FROM unnest(%s::bigint[], %s::smallint[], %s::smallint[], %s::timestamptz[])
        AS v(device_id, ended, failed, last_failed_at)
    JOIN registry_device d ON d.id = v.device_id
    ORDER BY d.id
    ON CONFLICT (device_id) DO UPDATE SET ended = excluded.ended,
        failed = excluded.failed, last_failed_at = excluded.last_failed_at,
        at = excluded.at
    WHERE (t.ended, t.failed, t.last_failed_at)
        IS DISTINCT FROM (excluded.ended, excluded.failed, excluded.last_failed_at)
    RETURNING t.device_id
"""
_PATHS = """
    INSERT INTO state_adapterpath (adapter, at, tries, unanswered, latency_p50_ms,
        latency_p95_ms, usual_p95_ms)
    SELECT v.adapter, %s, v.tries, v.unanswered, v.p50, v.p95, v.usual
    FROM unnest(%s::text[], %s::integer[], %s::integer[], %s::float8[], %s::float8[],
        %s::float8[]) AS v(adapter, tries, unanswered, p50, p95, usual)
    ORDER BY v.adapter
    ON CONFLICT (adapter) DO UPDATE SET at = excluded.at, tries = excluded.tries,
        unanswered = excluded.unanswered, latency_p50_ms = excluded.latency_p50_ms,
        latency_p95_ms = excluded.latency_p95_ms, usual_p95_ms = excluded.usual_p95_ms
"""


def note_outcomes(outcomes: Sequence[Outcomes], *, at: datetime) -> None:
    """Enter how the newest commands of these devices ended."""
    rows = [(o.device_id, o.ended, o.failed, o.last_failed_at) for o in outcomes]
    if rows:
        changed = bulk_sql.fetch(_TALLY, [at, *bulk_sql.columns_of(rows, 4)])
        mark_for_risk([device_id for (device_id,) in changed])


def note_deliveries(deliveries: Sequence[Delivery], *, at: datetime) -> None:
    """Enter how the adapter paths deliver."""
    rows = [
        (
            *(d.adapter, d.tries, d.unanswered),
            *(d.latency_p50_ms, d.latency_p95_ms, d.usual_p95_ms),
        )
        for d in deliveries
    ]
    if rows:
        bulk_sql.run(_PATHS, [at, *bulk_sql.columns_of(rows, 6)])
