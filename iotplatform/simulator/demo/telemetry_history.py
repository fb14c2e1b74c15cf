"""The telemetry of the demo fleet's past: what the simulator would have measured."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import Random

from iotplatform.simulator.demo.catalogue import PRODUCTS
from iotplatform.simulator.demo.connectivity_history import Drop
from iotplatform.simulator.demo.fleet import SEED, TOO_WARM, DemoDevice
from iotplatform.simulator.device import TELEMETRY_SECONDS
from iotplatform.simulator.metrics import (
    BATTERY,
    NOISE,
    day_share,
    first_battery,
    level_of,
    swing_of,
)
from iotplatform.simulator.profiles import PROFILES
from state.choices import RollupStep
from state.services.telemetry_backfill import PastSeries

BUCKET_SECONDS = int(RollupStep.FIVE_MINUTES)
SAMPLES = BUCKET_SECONDS // TELEMETRY_SECONDS
HOUR = 3_600
# One row of noise for all series, each begins somewhere else in it.
_NOISE_LENGTH = 4_096
_draw = Random("past:noise")
_NOISE = [_draw.gauss(0, NOISE / 2) for _ in range(_NOISE_LENGTH)]


def bucket_starts(since: datetime, until: datetime) -> range:
    """Return the seconds at which the whole buckets between two times begin."""
    first = -(-int(since.timestamp()) // BUCKET_SECONDS)
    last = int(until.timestamp()) // BUCKET_SECONDS
    return range(first * BUCKET_SECONDS, last * BUCKET_SECONDS, BUCKET_SECONDS)


def day_curve(starts: range) -> list[float]:
    """Return where metrics stand in each bucket, to be used for all devices."""
    return [day_share(at + BUCKET_SECONDS / 2) for at in starts]


def series_of(
    device: DemoDevice,
    device_id: int,
    *,
    drops: Sequence[Drop],
    starts: range,
    curve: Sequence[float],
) -> list[PastSeries]:
    """Return the metrics of a device; no values while it was away."""
    away = [place for drop in drops for place in _buckets_of(drop, starts)]
    series = []
    for metric in metrics_of(device):
        if metric == BATTERY:
            means, spread = _battery(device, starts), 0.0
        else:
            means, spread = _values(device, metric, curve)
        for place in away:
            means[place] = None
        series.append(PastSeries(device_id, metric, means, spread))
    return series


def metrics_of(device: DemoDevice) -> list[str]:
    """Return the names of the metrics that a device measures."""
    return [metric["name"] for metric in PRODUCTS[device.product]["metrics"]]


def last_values(device: DemoDevice, at: datetime) -> dict[str, float]:
    """Return what a device measured at a moment that its past ends with."""
    seconds = int(at.timestamp())
    one = range(seconds, seconds + 1)
    series = series_of(device, 0, drops=(), starts=one, curve=day_curve(one))
    return {row.metric: row.means[0] or 0.0 for row in series}


def _values(
    device: DemoDevice, metric: str, curve: Sequence[float]
) -> tuple[list[float | None], float]:
    swing = swing_of(metric)
    level = level_of(metric, seed=SEED, uid=device.uid)
    if device.is_troubled:
        level += TOO_WARM.get(metric, 0.0)
    start = Random(f"past:noise:{device.uid}:{metric}").randrange(_NOISE_LENGTH)
    noise = (_NOISE[start:] + _NOISE)[: len(curve)]
    means: list[float | None] = [
        round(level + swing * (share + aside), 2)
        for share, aside in zip(curve, noise, strict=True)
    ]
    return means, round(swing * NOISE, 2)


def _battery(device: DemoDevice, starts: range) -> list[float | None]:
    """Return the level before the first one of the simulator; an empty one was new."""
    profile = PROFILES[device.profile]
    low, high = 1.0, profile.battery_range[1]
    now = first_battery(profile.battery_range, seed=SEED, uid=device.uid)
    lost = profile.battery_per_hour * BUCKET_SECONDS / HOUR
    is_replaced = lost * len(starts) > high - low
    means: list[float | None] = []
    for place in range(len(starts), 0, -1):
        level = now + lost * place
        if is_replaced:
            level = low + (level - low) % (high - low)
        means.append(round(min(level, high), 1))
    return means


def _buckets_of(drop: Drop, starts: range) -> range:
    """Return the places of the buckets that lie wholly within an absence."""
    first = -(-(int(drop.left_at.timestamp()) - starts.start) // BUCKET_SECONDS)
    last = (int(drop.back_at.timestamp()) - starts.start) // BUCKET_SECONDS
    return range(max(first, 0), min(max(last, 0), len(starts)))
