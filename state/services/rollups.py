"""The history of metrics: values are added to buckets of time, and written by batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from iotplatform.common import bulk_sql
from state.choices import RollupStep
from state.models import TelemetryRollup

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice

STEPS = tuple(step.value for step in RollupStep)
# Written at once. A batch of usual messages has some thousands; a hostile one, full of
# history, would have millions, which neither our memory nor one statement can hold.
MOST_BUCKETS = 50_000


class _Bucket(Struct):
    tenant_id: int
    minimum: float
    maximum: float
    total: float
    count: int
    last: float
    last_at: datetime


_BUCKET_COLUMNS = (
    *("device_id", "metric", "step", "at", "tenant_id"),
    *("minimum", "maximum", "total", "count", "last", "last_at"),
)
# Late values of a device that has a new owner never change the buckets of the old one.
_ROLL_UP = f"""
    {bulk_sql.insert_rows(TelemetryRollup, *_BUCKET_COLUMNS)}
    ON CONFLICT (device_id, metric, step, at) DO UPDATE SET
        minimum = least(t.minimum, excluded.minimum),
        maximum = greatest(t.maximum, excluded.maximum),
        total = t.total + excluded.total,
        count = t.count + excluded.count,
        last = CASE WHEN excluded.last_at >= t.last_at THEN excluded.last
            ELSE t.last END,
        last_at = greatest(t.last_at, excluded.last_at)
    WHERE t.tenant_id = excluded.tenant_id
"""


class Rollups:
    """The buckets of one batch; the devices' presence rows are locked."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[int, str, int, datetime], _Bucket] = {}
        self._moments: dict[int, datetime] = {}  # a batch has few different ones

    def add(
        self, device: IngestDevice, metrics: Mapping[str, float], at: datetime
    ) -> None:
        """Add the values that a device measured at a time."""
        if len(self._buckets) >= MOST_BUCKETS:
            self.write()
        starts = _bucket_starts(at, self._moments)
        for metric, value in metrics.items():
            for step, start in starts:
                key = (device.id, metric, step, start)
                _add(self._buckets, key, device.tenant_id, value, at)

    def write(self) -> None:
        """Write what was added: one row a bucket."""
        # In key order, as every writer does: two bridges may write the same buckets.
        rows = [
            (
                *key,
                *(b.tenant_id, b.minimum, b.maximum, b.total, b.count),
                *(b.last, b.last_at),
            )
            for key, b in sorted(self._buckets.items(), key=lambda item: item[0])
        ]
        if rows:
            bulk_sql.run(_ROLL_UP, bulk_sql.columns_of(rows, len(_BUCKET_COLUMNS)))
        self._buckets.clear()


def _bucket_starts(
    at: datetime, known: dict[int, datetime]
) -> list[tuple[int, datetime]]:
    """Return the start of the bucket of each step; ``known`` caches them."""
    second = int(at.timestamp())
    starts = []
    for step in STEPS:
        begin = second - second % step
        if begin not in known:
            known[begin] = datetime.fromtimestamp(begin, UTC)
        starts.append((step, known[begin]))
    return starts


def _add(
    buckets: dict[tuple[int, str, int, datetime], _Bucket],
    key: tuple[int, str, int, datetime],
    tenant_id: int,
    value: float,
    at: datetime,
) -> None:
    bucket = buckets.get(key)
    if bucket is None:
        buckets[key] = _Bucket(tenant_id, value, value, value, 1, value, at)
        return
    bucket.minimum = min(bucket.minimum, value)
    bucket.maximum = max(bucket.maximum, value)
    bucket.total += value
    bucket.count += 1
    if at >= bucket.last_at:
        bucket.last, bucket.last_at = value, at
