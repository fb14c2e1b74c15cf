"""Backfill telemetry rollups from before the platform was in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from iotplatform.common import bulk_sql
from state.choices import RollupStep

FINE, COARSE = int(RollupStep.FIVE_MINUTES), int(RollupStep.HOUR)
# Series of one statement: three days of it are half a million values, some megabytes.
BATCH = 500

_COLUMNS = (
    "device_id, metric, step, at, tenant_id, minimum, maximum, total, count, last,"
    " last_at"
)
# The values of all series come in one array; each series has as many.
_INSERT = f"""
    WITH series AS MATERIALIZED (
        SELECT s.device_id, s.metric, s.spread, s.place, d.tenant_id
        FROM unnest(%s::bigint[], %s::text[], %s::float8[])
            WITH ORDINALITY AS s(device_id, metric, spread, place)
        JOIN registry_device d ON d.id = s.device_id
    ), fine AS MATERIALIZED (
        SELECT s.device_id, s.metric, s.tenant_id, s.spread, v.mean,
            to_timestamp(%s + (v.place - 1) %% %s * {FINE}) AS at,
            (%s + (v.place - 1) %% %s * {FINE})::bigint / {COARSE} AS hour
        FROM unnest(%s::float8[]) WITH ORDINALITY AS v(mean, place)
        JOIN series s ON s.place = (v.place - 1) / %s + 1
        WHERE v.mean IS NOT NULL
    ), samples AS (SELECT %s::integer AS n)
    INSERT INTO state_telemetryrollup ({_COLUMNS})
    SELECT device_id, metric, {FINE}, at, tenant_id, mean - spread, mean + spread,
        mean * n, n, mean, at + interval '{FINE} seconds' * (n - 1) / n
    FROM fine, samples WHERE at >= %s
    UNION ALL
    SELECT device_id, metric, {COARSE}, to_timestamp(hour * {COARSE}), tenant_id,
        min(mean - spread), max(mean + spread), sum(mean) * n, count(*) * n,
        (array_agg(mean ORDER BY at DESC))[1],
        max(at) + interval '{FINE} seconds' * (n - 1) / n
    FROM fine, samples GROUP BY device_id, metric, hour, tenant_id, n
    ON CONFLICT (device_id, metric, step, at) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class PastSeries:
    """The means of a metric in consecutive buckets of five minutes."""

    device_id: int
    metric: str
    means: Sequence[float | None]  # None: no value in this bucket
    spread: float  # the distance of a bucket's extremes from its mean


@transaction.atomic
def backfill_rollups(
    series: Sequence[PastSeries],
    *,
    first_at: datetime,
    fine_from: datetime,
    samples: int,
) -> int:
    """Insert rollups of five minutes and of hours; return how many.

    ``first_at`` is the start of the first bucket of every series, ``samples`` the
    number of values in a bucket. Before ``fine_from`` only hours are kept. A bucket
    that exists stays as it is: it has real values. Latest values, alarms and presence
    do not change.
    """
    total = 0
    for start in range(0, len(series), BATCH):
        batch = series[start : start + BATCH]
        total += _insert(batch, first_at, fine_from, samples)
    return total


def _insert(
    series: Sequence[PastSeries], first_at: datetime, fine_from: datetime, samples: int
) -> int:
    length = len(series[0].means)
    if any(len(one.means) != length for one in series):
        raise ValueError("all series must have the same number of buckets")
    first = int(first_at.timestamp())
    if first % FINE:
        raise ValueError(f"{first_at} is not the start of a bucket")
    if not length:
        return 0
    return bulk_sql.run(
        _INSERT,
        [
            [one.device_id for one in series],
            [one.metric for one in series],
            [one.spread for one in series],
            *(first, length, first, length),
            [mean for one in series for mean in one.means],
            *(length, samples, fine_from),
        ],
    )
