"""A device's own clock: what it is good for, and what is done when it is wrong.

Presence counts arrivals and never this clock. It only says where on a chart a value
stands.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# Clocks that are further off than this are wrong, and not only a little early or late.
CLOCK_TOLERANCE = timedelta(minutes=10)
HISTORY_REACHES = timedelta(days=7)  # how old a reading may be that arrives late
_TOLERANCE_MS = CLOCK_TOLERANCE // timedelta(milliseconds=1)
_REACHES_MS = HISTORY_REACHES // timedelta(milliseconds=1)


def from_milliseconds(milliseconds: int) -> datetime | None:
    """Return the time; None if the number is out of range."""
    try:
        return datetime.fromtimestamp(milliseconds / 1_000, UTC)
    except (OverflowError, OSError, ValueError):
        return None


def plausible_time(ts: int | None, arrived_at: datetime) -> datetime | None:
    """Return the device's time of a message; None if missing or not plausible."""
    if ts is None:
        return None
    at = from_milliseconds(ts)
    if at is None or abs(at - arrived_at) > CLOCK_TOLERANCE:
        return None
    return at


def milliseconds_to_add(ts: int | None, arrived_at: datetime) -> int:
    """Return what turns the device's times into ours.

    The ``ts`` of a message shows that the device's clock is wrong, and by how much: so
    the age of a reading is right although its time is not. Zero within the tolerance,
    and for a message without ``ts``.
    """
    if ts is None or plausible_time(ts, arrived_at) is not None:
        return 0
    return _milliseconds(arrived_at) - ts


def why_not_history(ts: int, arrived_at: datetime) -> str:
    """Say why a reading of that (corrected) time is not filed; empty if it is."""
    age = _milliseconds(arrived_at) - ts
    if age > _REACHES_MS:
        return f"more than {HISTORY_REACHES.days} days old"
    if age < -_TOLERANCE_MS:
        return f"more than {CLOCK_TOLERANCE.seconds // 60} minutes in the future"
    return ""


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000)
