"""The hours of the day in which a job may send, in the local time of each site.

``{"from": "22:00", "to": "04:00", "days": ["fri"]}``: a window over midnight belongs to
the day on which it begins. Where clocks change, a time that does not exist means the
next instant, and one that comes twice means the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_clock = {"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"}
WINDOW_SCHEMA: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {
        "from": _clock,
        "to": _clock,
        "days": {
            "type": ["array", "null"],
            "items": {"enum": list(DAYS)},
            "minItems": 1,
            "uniqueItems": True,
        },
    },
    "required": ["from", "to"],
    "additionalProperties": False,
}
# A window of one day a week may be empty on the day of a clock change.
_LOOKED_AHEAD = 15

Window = Mapping[str, Any]


def first_instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return the first instant at which a local clock shows this time, or a later one.

    In UTC.
    """
    wall = datetime.combine(day, clock)
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if _wall(at, zone) == wall:
        return at  # fold=0: the first of two
    # It is skipped: the clock changes between these two instants.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while at - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(at - before).total_seconds() // 2)
        if _wall(middle, zone) < wall:
            before = middle
        else:
            at = middle
    return at


def is_open(window: Window, zone: ZoneInfo, at: datetime) -> bool:
    """Whether the window is open at this instant in a zone."""
    today = _wall(at, zone).date()
    return any(
        start <= at < end
        for day in (today - timedelta(days=1), today)
        for start, end in _opening(window, zone, day)
    )


def next_opening(window: Window, zone: ZoneInfo, at: datetime) -> datetime | None:
    """Return when it is open next in a zone: now, or in two weeks at the latest."""
    if is_open(window, zone, at):
        return at
    today = _wall(at, zone).date()
    starts = (
        start
        for place in range(-1, _LOOKED_AHEAD)
        for start, end in _opening(window, zone, today + timedelta(days=place))
        if start > at and start < end
    )
    return min(starts, default=None)


def open_zones(window: Window, zones: Iterable[str], at: datetime) -> list[str]:
    """Return those of the zones in which the window is open."""
    return [name for name in zones if is_open(window, zone_named(name), at)]


def window_words(window: Window) -> str:
    """Return the window as people read it: "01:00 to 05:00 on mon, tue"."""
    words = f"{window['from']} to {window['to']}"
    return f"{words} on {', '.join(window['days'])}" if window.get("days") else words


@lru_cache(maxsize=1_000)
def zone_named(name: str) -> ZoneInfo:
    """Return the zone; UTC for a site without one."""
    return ZoneInfo(name or "UTC")


def _opening(
    window: Window, zone: ZoneInfo, day: date
) -> list[tuple[datetime, datetime]]:
    """Return the start and end of the window that begins on this day, if one does."""
    days = window.get("days")
    if days and DAYS[day.weekday()] not in days:
        return []
    start, end = (time.fromisoformat(window[name]) for name in ("from", "to"))
    last = day if start < end else day + timedelta(days=1)
    return [(first_instant(day, start, zone), first_instant(last, end, zone))]


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    """Return what a clock in the zone shows."""
    return at.astimezone(zone).replace(tzinfo=None)
