"""Days of the SLA report that were counted ahead, and the times that were not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from iotplatform.common import bulk_sql
from registry.selectors.access import sql_within
from state.selectors.lost_time import CAUSES, LostTime, Place, Span

if TYPE_CHECKING:
    from registry.models import Tenant

# Cause → its column; "site" is the key of the site there.
COLUMNS = {cause: "site_itself" if cause == "site" else cause for cause in CAUSES}
# What is so new that the next run counts it.
SOON = timedelta(hours=1)

_SUMS = ", ".join(
    f"coalesce(sum(r.{name}), 0)" for name in ("active", *COLUMNS.values())
)
_COUNTED = f"""
    SELECT w.tenant_id, w.site_id, w.project_id, w.from_at, {_SUMS}, max(r.until),
        array(SELECT unnest(tstzmultirange(tstzrange(w.from_at, w.until))
            - coalesce(range_agg(tstzrange(r.from_at, r.until))
                FILTER (WHERE r.id IS NOT NULL), '{{}}')))
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[],
        %s::timestamptz[]) AS w(tenant_id, site_id, project_id, from_at, until)
    LEFT JOIN console_sladay r ON r.tenant_id = w.tenant_id AND r.site_id = w.site_id
        AND coalesce(r.project_id, 0) = w.project_id
        AND r.from_at >= w.from_at AND r.until <= w.until
        AND (%s OR (r.is_settled AND NOT EXISTS (
            SELECT FROM console_slarecount c
            WHERE c.tenant_id = r.tenant_id AND c.site_id = r.site_id
                AND c.project_id IS NOT DISTINCT FROM r.project_id
                AND c.from_at < r.until AND c.until > r.from_at)))
    GROUP BY w.tenant_id, w.site_id, w.project_id, w.from_at, w.until
"""
_PLACES = """
    SELECT r.tenant_id, r.site_id, coalesce(r.project_id, 0), min(s.time_zone)
    FROM console_sladay r JOIN registry_site s ON s.id = r.site_id
    WHERE {access} AND r.day >= %s GROUP BY 1, 2, 3
"""
_BY_DAY = f"""
    SELECT r.day, {_SUMS} FROM console_sladay r
    WHERE {{access}} AND r.day >= %s GROUP BY r.day ORDER BY r.day
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted ahead, the times that were not, and until when it counts."""

    times: list[LostTime]
    missing: list[Span]
    as_of: datetime | None


def read_counted(spans: Sequence[Span], *, is_settled: bool) -> Counted:
    """Return what is known of the spans without a look at the evidence.

    ``is_settled``: only days that nothing changes any more, and no late evidence is
    known of. Else the newest minutes count as known: they end at ``as_of``.
    """
    wanted = [(p.tenant_id, p.site_id, p.project_id, *span) for p, *span in spans]
    times, missing, ends = [], [], []
    ends_of = {place: until for place, _, until in spans}
    statement: Any = _COUNTED
    given = [*bulk_sql.columns_of(wanted, 5), not is_settled]
    for row in bulk_sql.fetch(statement, given):
        place, from_at, (*seconds, last, holes) = Place(*row[:3]), row[3], row[4:]
        times.append(lost_time_of(place, from_at, seconds))
        if not is_settled and last and ends_of[place] - last < SOON:
            holes = [hole for hole in holes if hole.lower < last]
            ends.append(last)
        missing += [(place, hole.lower, hole.upper) for hole in holes]
    return Counted(times, missing, min(ends, default=None))


def list_counted_places(
    *, tenants: Sequence[Tenant], first: date
) -> list[tuple[Place, str]]:
    """Return the places with a counted day from ``first`` on, and their time zones."""
    access, values = sql_within(tenants, "r")
    statement: Any = _PLACES.format(access=access)
    rows = bulk_sql.fetch(statement, [*values, first])
    return [(Place(*row[:3]), row[3]) for row in rows]


def list_lost_by_day(
    *, tenants: Sequence[Tenant], first: date
) -> list[tuple[date, float, dict[str, float]]]:
    """Return each counted day from ``first``: seconds in service, and lost by cause."""
    access, values = sql_within(tenants, "r")
    statement: Any = _BY_DAY.format(access=access)
    return [
        (day, active, dict(zip(CAUSES, lost, strict=True)))
        for day, active, *lost in bulk_sql.fetch(statement, [*values, first])
    ]


@lru_cache(maxsize=4_096)  # of the same days, for each place
def day_begin(day: date, zone: ZoneInfo) -> datetime:
    """Return when a day begins; where its midnight is left out, that very moment."""
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def lost_time_of(place: Place, from_at: datetime, seconds: Sequence[Any]) -> LostTime:
    active, *lost = map(float, seconds)
    return LostTime(place, from_at, active, dict(zip(CAUSES, lost, strict=True)))
