"""What simulated devices measure: typical values, alike in the past and live."""

from __future__ import annotations

import math
from random import Random

BATTERY = "battery"
DAY_SECONDS = 86_400
# The typical value of a metric, and how far it varies.
LIKELY = {
    "temperature": (21.0, 6.0),
    "humidity": (48.0, 20.0),
    "rssi": (-78.0, 20.0),
    "power": (420.0, 160.0),
    "voltage": (231.0, 4.0),
    "cpu": (22.0, 18.0),
    "uplink_kbps": (640.0, 200.0),
}
OTHER = (50.0, 10.0)
# Of the swing: the deviation of single values.
NOISE = 1 / 20


def level_of(metric: str, *, seed: int, uid: str) -> float:
    """Return the value around which a metric of this device moves."""
    base, swing = LIKELY.get(metric, OTHER)
    return base + Random(f"{seed}:{uid}:{metric}").uniform(-swing / 2, swing / 2)


def swing_of(metric: str) -> float:
    """Return how far a metric moves within a day."""
    return LIKELY.get(metric, OTHER)[1]


def day_share(at: float) -> float:
    """Return where a metric stands at this time of the day, from -0.5 to 0.5."""
    return math.sin(at / DAY_SECONDS * 2 * math.pi) / 2


def first_battery(battery_range: tuple[float, float], *, seed: int, uid: str) -> float:
    """Return the battery of a device that starts for the first time."""
    return Random(f"battery:{seed}:{uid}").uniform(*battery_range)
