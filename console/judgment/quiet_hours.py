"""When quiet hours end, by the wall clock of their time zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# The last hours that began on one day of a week may end on the first of the next one.
_MOST_HOPS = 16


def end_of_quiet(
    at: datetime, hours: Sequence[Mapping[str, Any]], zone: ZoneInfo
) -> datetime:
    """Return ``at``, or the end of the quiet hours that it is in.

    Hours that follow each other are one. An hour that the clock shows twice is quiet
    both times; one that it skips is taken as that many minutes after the change.
    """
    moment = at
    for _ in range(_MOST_HOPS):
        ends = [end for each in hours for end in _ends_around(moment, each, zone)]
        if not ends:
            break
        moment = max(ends)
    return moment


def never_end(hours: Sequence[Mapping[str, Any]]) -> bool:
    """Whether quiet hours cover the whole week."""
    zone = ZoneInfo("UTC")
    begin = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
    return end_of_quiet(begin, hours, zone) >= begin + timedelta(days=8)


def _ends_around(
    at: datetime, hours: Mapping[str, Any], zone: ZoneInfo
) -> list[datetime]:
    """Return the ends of those of these hours that ``at`` is in."""
    today = at.astimezone(zone).date()
    begin, end = time.fromisoformat(hours["from"]), time.fromisoformat(hours["to"])
    found = []
    for day in (today - timedelta(days=1), today):
        if hours.get("days") and DAYS[day.weekday()] not in hours["days"]:
            continue
        last_day = day if begin < end else day + timedelta(days=1)
        first = _moment(day, begin, zone, is_second=False)
        last = _moment(last_day, end, zone, is_second=True)
        if first <= at < last:
            found.append(last)
    return found


def _moment(day: date, clock: time, zone: ZoneInfo, *, is_second: bool) -> datetime:
    """Return when the clock shows this; of two times the first or the second."""
    local = datetime.combine(day, clock, tzinfo=zone)
    found = local.replace(fold=int(is_second)).astimezone(UTC)
    is_skipped = found.astimezone(zone).time() != clock
    return local.replace(fold=0).astimezone(UTC) if is_skipped else found
