"""Store what the command plane reports: how commands ended, how adapters deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from iotplatform.common import bulk_sql
from state.models import AdapterPath, CommandTally
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
    """How an adapter delivered commands lately, and how it usually does."""

    adapter: str
    tries: int
    unanswered: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    usual_p95_ms: float | None


# Only rows that differ are written, and only their devices are marked for risk.
_TALLY_COLUMNS = ("device_id", "ended", "failed", "last_failed_at")
_TALLY = f"""
    INSERT INTO state_commandtally AS t
        (device_id, tenant_id, ended, failed, last_failed_at, at)
    SELECT d.id, d.tenant_id, v.ended, v.failed, v.last_failed_at, %s
    FROM {bulk_sql.unnest(CommandTally, *_TALLY_COLUMNS)}
    JOIN registry_device d ON d.id = v.device_id
    ORDER BY d.id
    ON CONFLICT (device_id) DO UPDATE SET ended = excluded.ended,
        failed = excluded.failed, last_failed_at = excluded.last_failed_at,
        at = excluded.at
    WHERE (t.ended, t.failed, t.last_failed_at)
        IS DISTINCT FROM (excluded.ended, excluded.failed, excluded.last_failed_at)
    RETURNING t.device_id
"""
_PATH_COLUMNS = (
    *("adapter", "tries", "unanswered"),
    *("latency_p50_ms", "latency_p95_ms", "usual_p95_ms"),
)
_PATHS = f"""
    INSERT INTO state_adapterpath (at, {", ".join(_PATH_COLUMNS)})
    SELECT %s, v.* FROM {bulk_sql.unnest(AdapterPath, *_PATH_COLUMNS)}
    ORDER BY v.adapter
    ON CONFLICT (adapter) DO UPDATE SET at = excluded.at, tries = excluded.tries,
        unanswered = excluded.unanswered, latency_p50_ms = excluded.latency_p50_ms,
        latency_p95_ms = excluded.latency_p95_ms, usual_p95_ms = excluded.usual_p95_ms
"""


def record_outcomes(outcomes: Sequence[Outcomes], *, at: datetime) -> None:
    """Store how the newest commands of these devices ended."""
    rows = [*map(attrgetter(*_TALLY_COLUMNS), outcomes)]
    if rows:
        changed = bulk_sql.fetch(
            _TALLY, [at, *bulk_sql.columns_of(rows, len(_TALLY_COLUMNS))]
        )
        mark_for_risk([device_id for (device_id,) in changed])


def record_deliveries(deliveries: Sequence[Delivery], *, at: datetime) -> None:
    """Store how the adapters deliver."""
    rows = [*map(attrgetter(*_PATH_COLUMNS), deliveries)]
    if rows:
        bulk_sql.run(_PATHS, [at, *bulk_sql.columns_of(rows, len(_PATH_COLUMNS))])
