"""Telemetry: the latest value of each metric, and what the index holds of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct

from iotplatform.common import bulk_sql
from iotplatform.common.device_clock import (
    from_milliseconds,
    milliseconds_to_add,
    plausible_time,
)
from state.models import TelemetrySummary
from state.services.presence.evidence import FUTURE_TOLERANCE
from state.services.risk_marks import mark_for_risk
from state.services.rollups import Rollups

if TYPE_CHECKING:
    from iotplatform.common.messages import Telemetry
    from registry.selectors.devices import IngestDevice
    from state.services.arrivals import Arrival

BATTERY = "battery"  # a metric that risk depends on
METRICS_KEPT = 256  # of one device: as many as one message may have


class _Summary(Struct):
    dead_bands: dict[str, float]
    latest: dict[str, dict[str, Any]]
    indexed: dict[str, float]
    is_indexed_moved: bool = False
    is_battery_moved: bool = False


class _MessageOrder(Struct, frozen=True):
    """The times of a message, and its place in the device's own count."""

    stamp: str  # where its values stand on a chart: the device's time if plausible
    heard: str  # when it arrived
    boot: int | None
    seq: int | None


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_LOCK = """
    SELECT device_id, latest::text, indexed::text FROM state_telemetrysummary
    WHERE device_id = ANY(%s) ORDER BY device_id FOR UPDATE
"""
_CREATE = """
    INSERT INTO state_telemetrysummary (device_id, tenant_id, latest, indexed)
    SELECT d.id, d.tenant_id, '{}', '{}'
    FROM registry_device d WHERE d.id = ANY(%s) ORDER BY d.id
    ON CONFLICT (device_id) DO NOTHING
"""
_WRITE_LATEST = bulk_sql.update_by_key(TelemetrySummary, "latest", "updated_at")
_WRITE_INDEXED = bulk_sql.update_by_key(
    TelemetrySummary, "latest", "updated_at", "indexed"
)


def apply_measurements(
    arrivals: Sequence[Arrival], *, now: datetime
) -> set[tuple[int, str]]:
    """Store the telemetry of a batch: one write a device, one a bucket.

    Return the late values, as (place in the batch, metric): a newer value was known, so
    they were buffered or overtaken and say nothing about now.
    """
    late: set[tuple[int, str]] = set()
    measured = [
        (place, arrival, cast("Telemetry", arrival.uplink.message))
        for place, arrival in enumerate(arrivals)
        if arrival.uplink.kind == "telemetry"
    ]
    if not measured:
        return late
    summaries = _lock_or_create(
        {a.device.id: a.device for _, a, message in measured if message.metrics}
    )
    horizon = _stamp(now + FUTURE_TOLERANCE)
    rollups = Rollups()
    newest: dict[int, datetime] = {}
    for place, arrival, message in measured:
        device, heard_at = arrival.device, arrival.uplink.at
        if message.history:
            _add_history(rollups, device, message, heard_at)
        if not message.metrics:
            continue
        at = plausible_time(message.ts, heard_at) or heard_at
        newest[device.id] = max(heard_at, newest.get(device.id, heard_at))
        summary = summaries[device.id]
        order = _MessageOrder(_stamp(at), _stamp(heard_at), message.boot, message.seq)
        for metric, value in message.metrics.items():
            if not _apply_value(summary, metric, value, order, horizon):
                late.add((place, metric))
        rollups.add(device, message.metrics, at)
    _write(summaries, newest)
    rollups.write()
    return late


def _add_history(
    rollups: Rollups, device: IngestDevice, message: Telemetry, heard_at: datetime
) -> None:
    """File values that were measured earlier; they say nothing about now."""
    add = milliseconds_to_add(message.ts, heard_at)
    for entry in message.history:
        if at := from_milliseconds(entry.ts + add):
            rollups.add(device, entry.metrics, at)


def _apply_value(
    summary: _Summary, metric: str, value: float, order: _MessageOrder, horizon: str
) -> bool:
    """Apply one value; return False if a newer value of this metric is known."""
    known = summary.latest.get(metric)
    if known is not None and _is_newer(known, order, horizon):
        return False
    if known is None and len(summary.latest) >= METRICS_KEPT:
        return True
    summary.latest[metric] = latest = {"value": value, "at": order.stamp}
    if order.heard != order.stamp:
        latest["heard"] = order.heard
    if order.boot is not None:
        latest["boot"] = order.boot
        if order.seq is not None:
            latest["seq"] = order.seq
    band = summary.dead_bands.get(metric)
    if band is None:
        return True  # only metrics that the product declares are searchable
    shown = summary.indexed.get(metric)
    if shown is None or (value != shown and abs(value - shown) >= band):
        summary.indexed[metric] = value
        summary.is_indexed_moved = True
        summary.is_battery_moved |= metric == BATTERY
    return True


def _is_newer(known: dict[str, Any], order: _MessageOrder, horizon: str) -> bool:
    """Return whether the known value is newer, by the device's own count.

    Without a count, compare arrivals: a device's clock may be wrong. A known time after
    ``horizon`` was stored before the platform's clock was set back.
    """
    boot, seq = known.get("boot"), known.get("seq")
    if boot is not None and order.boot is not None:
        if boot != order.boot:
            return bool(boot > order.boot)
        if seq is not None and order.seq is not None:
            return bool(seq >= order.seq)
    return bool(order.heard < known.get("heard", known["at"]) <= horizon)


def _dead_bands(device: IngestDevice) -> dict[str, float]:
    return {m["name"]: float(m.get("dead_band") or 0) for m in device.metrics}


def _lock_or_create(devices: dict[int, IngestDevice]) -> dict[int, _Summary]:
    if not devices:
        return {}
    found = bulk_sql.lock_or_create(_LOCK, _CREATE, devices)
    bands: dict[int, dict[str, float]] = {}  # one a product
    summaries = {}
    for device_id, latest, indexed in found:
        device = devices[device_id]
        if device.product_id not in bands:
            bands[device.product_id] = _dead_bands(device)
        summaries[device_id] = _Summary(
            bands[device.product_id], _decode(latest), _decode(indexed)
        )
    return summaries


def _write(summaries: dict[int, _Summary], newest: dict[int, datetime]) -> None:
    moved, steady = [], []
    for device_id, summary in sorted(summaries.items()):
        row = (device_id, _encode(summary.latest), newest[device_id])
        if summary.is_indexed_moved:
            moved.append((*row, _encode(summary.indexed)))
        else:
            steady.append(row)
    if moved:
        bulk_sql.run(_WRITE_INDEXED, bulk_sql.columns_of(moved, 4))
        mark_for_risk([pk for pk, s in summaries.items() if s.is_battery_moved])
    if steady:
        bulk_sql.run(_WRITE_LATEST, bulk_sql.columns_of(steady, 3))


def _encode(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


def _decode(text: str) -> Any:
    return msgspec.json.decode(text)
