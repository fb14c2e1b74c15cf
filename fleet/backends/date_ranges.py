"""Ranges of dates, in milliseconds: whole days and times before or after now."""

from __future__ import annotations

from datetime import datetime, timedelta

from fleet.backends.documents import milliseconds
from fleet.query.tree import Between, Day, RelativeTime, Value

# The earliest and latest moment that an index can hold: open ends of a date range.
EARLIEST, LATEST = -(2**62), 2**62
DAY = 86_400_000


def date_range(node: Between, now: datetime) -> tuple[int, int, bool, bool]:
    """Return both ends, and whether each is in the range.

    "After a day" means after its last moment, "until a day" until its last moment.
    """
    low, has_low = EARLIEST, True
    high, has_high = LATEST, True
    if isinstance(node.low, Day):
        low = milliseconds(node.low.start) + (0 if node.has_low else DAY)
    elif node.low is not None:
        low, has_low = _moment(node.low, now), node.has_low
    if isinstance(node.high, Day):
        high = milliseconds(node.high.start) + (DAY if node.has_high else 0)
        has_high = False
    elif node.high is not None:
        high, has_high = _moment(node.high, now), node.has_high
    return low, high, has_low, has_high


def _moment(value: Value, now: datetime) -> int:
    if isinstance(value, RelativeTime):
        return milliseconds(now) + value.offset // timedelta(milliseconds=1)
    assert isinstance(value, datetime)
    return milliseconds(value)
