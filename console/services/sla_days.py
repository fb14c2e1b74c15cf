"""Counting the days of the SLA report ahead, so that a page reads no evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q

from console.models import SlaDay, SlaRecount
from console.selectors.sla_days import COLUMNS, day_begin
from console.selectors.sla_report import list_told
from iotplatform.common import bulk_sql
from state.selectors.lost_time import (
    LostTime,
    Place,
    PlaceSize,
    Span,
    get_lost_time,
    list_places_across_tenants,
)

KEPT = timedelta(days=400)  # so long connectivity is kept
# A day is counted again until then. The triggers write down only evidence that is an
# hour late, so nothing falls between.
SETTLED_AFTER = timedelta(hours=2)
ONE_DAY = timedelta(days=1)
# Of these each is looked at, of the older ones only how many were counted.
RECENT = 2 * ONE_DAY
DEVICES_AT_ONCE = DAYS_AT_ONCE = 20_000
# So long a run counts; the next one goes on.
RUN_SECONDS = 40.0
BATCH = 10_000

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('console.count_sla_days'))"
_SETTLED = """
    SELECT w.tenant_id, w.site_id, w.project_id,
        count(*) FILTER (WHERE r.day < w.recent),
        coalesce(array_agg(r.day) FILTER (WHERE r.day >= w.recent), '{}')
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::date[], %s::date[])
        AS w(tenant_id, site_id, project_id, first, recent)
    JOIN console_sladay r ON r.tenant_id = w.tenant_id AND r.site_id = w.site_id
        AND coalesce(r.project_id, 0) = w.project_id
        AND r.is_settled AND r.day >= w.first
    GROUP BY w.tenant_id, w.site_id, w.project_id
"""
_LATE = """
    SELECT tenant_id, site_id, coalesce(project_id, 0), min(from_at), max(until),
        array_agg(id)
    FROM console_slarecount GROUP BY 1, 2, 3
"""
_KEYS = ("tenant_id", "site_id", "project_id", "day")
_VALUES = ("from_at", "until", "is_settled", "active", *COLUMNS.values())
_WRITE = (
    bulk_sql.insert_rows(SlaDay, *_KEYS, *_VALUES)
    + f" ON CONFLICT ({', '.join(_KEYS)}) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _VALUES)
)
# The oldest device has gone, or the site is in another time zone now.
_FORGET_OTHER_DAYS = """
    DELETE FROM console_sladay r
    USING unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::date[], %s::date[])
        AS w(tenant_id, site_id, project_id, first, last)
    WHERE r.tenant_id = w.tenant_id AND r.site_id = w.site_id
        AND coalesce(r.project_id, 0) = w.project_id
        AND (r.day < w.first OR r.day > w.last)
"""
_FORGET_PLACES = """
    DELETE FROM console_sladay r
    USING unnest(%s::bigint[], %s::bigint[], %s::bigint[])
        AS w(tenant_id, site_id, project_id)
    WHERE r.tenant_id = w.tenant_id AND r.site_id = w.site_id
        AND coalesce(r.project_id, 0) = w.project_id
"""


@dataclass(slots=True)
class _Work:
    """The days of a place that are to be counted, and the late evidence of it."""

    place: Place
    devices: int
    first: date
    last: date
    days: list[tuple[date, datetime, datetime]]
    late: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Late:
    from_at: datetime
    until: datetime
    ids: list[int]


def count_days_across_tenants(*, now: datetime, seconds: float = RUN_SECONDS) -> int:
    """Count the days that run, are new or have late evidence; return how many.

    Some places at a time, each time in a transaction of its own. What is not done in
    ``seconds`` is left to the next run.
    """
    end, total = monotonic() + seconds, 0
    late = {
        Place(*row[:3]): _Late(*row[3:])
        for row in bulk_sql.fetch(_LATE)  # read first: what comes later is kept
    }
    sizes = list_places_across_tenants()
    if gone := [place for place in late if place not in {s.place for s in sizes}]:
        _forget(gone, [pk for place in gone for pk in late[place].ids])
    for work in _in_parts(_plan(sizes, late, now=now)):
        counted = _count(work, now=now)
        total += counted
        if not counted or monotonic() > end:
            break
    return total


def forget_days_across_tenants(*, now: datetime) -> int:
    """Delete a batch of days that are older than what they come from."""
    old = SlaDay.objects.filter(day__lt=(now - KEPT).date() - timedelta(days=1))
    ids = old.order_by("day").values_list("pk", flat=True)[:BATCH]
    return SlaDay.objects.filter(pk__in=list(ids)).delete()[0]


def _plan(
    sizes: Sequence[PlaceSize], late: dict[Place, _Late], *, now: datetime
) -> list[_Work]:
    """Return what is to be counted; a place without a gap costs its newest days."""
    plan, asked = [], []
    for size in sizes:
        zone = ZoneInfo(size.time_zone)
        first = max(size.began_at, now - KEPT).astimezone(zone).date()
        today = now.astimezone(zone).date()
        days = [
            (day, day_begin(day, zone), day_begin(day + ONE_DAY, zone))
            for day in (first + n * ONE_DAY for n in range((today - first).days + 1))
        ]
        plan.append(_Work(size.place, size.devices, first, today, days))
        asked.append((*_key(size.place), first, today - RECENT))
    settled = {
        Place(*row[:3]): row[3:]
        for row in bulk_sql.fetch(_SETTLED, bulk_sql.columns_of(asked, 5))
    }
    for work in plan:
        count, recent = settled.get(work.place, (0, []))
        found = late.get(work.place)
        if count == sum(row[0] < work.last - RECENT for row in work.days):
            work.days = [
                row
                for row in work.days
                if (row[0] >= work.last - RECENT and row[0] not in recent)
                or (found and row[1] < found.until and row[2] > found.from_at)
            ]
        work.late = found.ids if found else []
    return [work for work in plan if work.days]  # none: its devices are of tomorrow


def _in_parts(plan: Sequence[_Work]) -> Iterator[list[_Work]]:
    """Yield parts of a plan that are not too large for one statement."""
    part: list[_Work] = []
    devices = days = 0
    for work in plan:
        devices, days = devices + work.devices, days + len(work.days)
        if part and (devices > DEVICES_AT_ONCE or days > DAYS_AT_ONCE):
            yield part
            part, devices, days = [], work.devices, len(work.days)
        part.append(work)
    if part:
        yield part


@transaction.atomic
def _count(part: Sequence[_Work], *, now: datetime) -> int:
    """Write the days of these places; 0 while another run counts."""
    ((is_mine,),) = bulk_sql.fetch(_LOCK)
    if not is_mine:
        return 0
    spans: list[Span] = [
        (work.place, from_at, min(until, now))
        for work in part
        for _, from_at, until in work.days
    ]
    days = {
        (work.place, row[1]): (row[0], row[2]) for work in part for row in work.days
    }
    since = min(from_at for _, from_at, _ in spans)
    of_sites = Q(device__site__in={work.place.site_id for work in part})
    told = list_told(of_sites, since=since, until=now)
    rows = [
        _row(lost, *days[lost.place, lost.from_at], now=now)
        for lost in get_lost_time(spans=spans, told=told)
    ]
    bounds = [(*_key(work.place), work.first, work.last) for work in part]
    bulk_sql.run(_FORGET_OTHER_DAYS, bulk_sql.columns_of(bounds, 5))
    columns: Any = _WRITE
    bulk_sql.run(columns, bulk_sql.columns_of(rows, len(_KEYS) + len(_VALUES)))
    known = list(chain.from_iterable(work.late for work in part))
    SlaRecount.objects.filter(pk__in=known).delete()
    return len(rows)


def _row(lost: LostTime, day: date, end: datetime, *, now: datetime) -> tuple[Any, ...]:
    tenant_id, site_id, project_id = _key(lost.place)
    return (
        *(tenant_id, site_id, project_id or None, day),
        *(lost.from_at, min(end, now), end + SETTLED_AFTER <= now),
        *(lost.active_seconds, *(lost.lost_seconds[cause] for cause in COLUMNS)),
    )


@transaction.atomic
def _forget(places: Sequence[Place], late_ids: Sequence[int]) -> None:
    """Delete the days of places that have no device any more."""
    keys = [_key(place) for place in places]
    bulk_sql.run(_FORGET_PLACES, bulk_sql.columns_of(keys, 3))
    SlaRecount.objects.filter(pk__in=list(late_ids)).delete()


def _key(place: Place) -> tuple[int, int, int]:
    return place.tenant_id, place.site_id, place.project_id
