"""The figures of the SLA report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce, Greatest, Least

from commands.selectors.site_figures import SiteFigures, get_site_figures
from console.models import IncidentMember
from console.selectors.incident_figures import IncidentFigures, get_incident_figures
from console.selectors.sla_days import (
    day_begin,
    list_counted_places,
    read_counted,
)
from registry.selectors.access import within
from registry.selectors.places import list_sites
from state.selectors.lost_time import (
    CAUSES,
    EXPLAINED,
    LostTime,
    Place,
    Span,
    Told,
    get_lost_time,
    list_places,
)

if TYPE_CHECKING:
    from registry.models import Tenant

NEARLY, ONE_DAY = timedelta(hours=12), timedelta(days=1)
NOTHING, NO_INCIDENTS = SiteFigures(0, None, None, None), IncidentFigures()


@dataclass(frozen=True)
class ReportLine:
    """The figures of one site."""

    tenant: str
    site: str
    active_minutes: float
    lost_minutes: dict[str, float]
    incidents: IncidentFigures = NO_INCIDENTS
    commands: SiteFigures = NOTHING

    @property
    def availability(self) -> float | None:
        """Return the share of the time in service that was online; null: none was."""
        if not self.active_minutes:
            return None
        return 1 - sum(self.lost_minutes.values()) / self.active_minutes


def get_sla_report(
    *,
    tenants: Sequence[Tenant],
    site: str | None,
    since: datetime,
    until: datetime,
) -> list[ReportLine]:
    """Return a line for each site with devices; a fixed number of statements.

    Right at once: what is not counted ahead, or may change, is read from the evidence.
    """
    sizes = list_places(tenants=tenants, site=site)
    spans = [(row.place, since, until) for row in sizes]
    counted = read_counted(spans, is_settled=True)
    lost = counted.times + _count_now(counted.missing, tenants=tenants)
    served = {row.place for row in sizes if row.has_served}
    return _lines_of(lost, served, tenants=tenants, since=since, until=until)


def get_sla_of_days(
    *, tenants: Sequence[Tenant], days: int, now: datetime
) -> tuple[list[ReportLine], datetime, datetime]:
    """Return the lines of the last days with today, their begin, and as of when.

    Days are those of each site's time zone; the begin is the first one's. Evidence that
    came since ``as_of``, or late, is in the figures when a task has counted it, and so
    is a site with its first device.
    """
    places = list_counted_places(tenants=tenants, first=(now - 2 * ONE_DAY).date())
    if not places:  # nothing was counted yet
        sizes = list_places(tenants=tenants, site=None)
        places = [(row.place, row.time_zone) for row in sizes if row.has_served]
    spans: list[Span] = []
    for place, name in places:
        zone = ZoneInfo(name)
        first = now.astimezone(zone).date() - timedelta(days=days - 1)
        spans.append((place, day_begin(first, zone), now))
    counted = read_counted(spans, is_settled=False)
    lost = counted.times + _count_now(counted.missing, tenants=tenants)
    since = min((row[1] for row in spans), default=now)
    served = {row.place for row in lost if row.active_seconds}
    lines = _lines_of(lost, served, tenants=tenants, since=since, until=now)
    return lines, since, counted.as_of or now


def _count_now(spans: Sequence[Span], *, tenants: Sequence[Tenant]) -> list[LostTime]:
    """Return the time of the spans from the evidence.

    Those of the begin apart from those of the end: what lies between is not read.
    """
    found: list[LostTime] = []
    of_tenants = within(tenants, device="device")
    for part in _together(sorted(spans, key=itemgetter(1))):
        since, until = part[0][1], max(row[2] for row in part)
        told = list_told(of_tenants, since=since, until=until)
        found += get_lost_time(spans=part, told=told)
    return found


def _together(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """Yield the spans that overlap or nearly do, in one list."""
    part: list[Span] = []
    end = None
    for span in spans:
        if end is not None and span[1] > end + NEARLY:
            yield part
            part, end = [], None
        part.append(span)
        end = span[2] if end is None else max(end, span[2])
    if part:
        yield part


def _lines_of(
    lost: Sequence[LostTime],
    served: Collection[Place],
    *,
    tenants: Sequence[Tenant],
    since: datetime,
    until: datetime,
) -> list[ReportLine]:
    """Put the time of each site together with its incidents and commands."""
    span: dict[str, Any] = {"tenants": tenants, "since": since, "until": until}
    commands, incidents = get_site_figures(**span), get_incident_figures(**span)
    names = dict(list_sites(tenants=tenants).values_list("pk", "slug"))
    slugs = {tenant.pk: tenant.slug for tenant in tenants}
    sums: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for row in lost:
        found = sums[row.place.tenant_id, row.place.site_id]
        found.update({"active": row.active_seconds, **row.lost_seconds})
    shown = {(place.tenant_id, place.site_id) for place in served}
    lines = [
        ReportLine(
            tenant=slugs[key[0]],
            site=names.get(key[1], ""),
            active_minutes=sums[key]["active"] / 60,
            lost_minutes={cause: sums[key][cause] / 60 for cause in sorted(CAUSES)},
            incidents=incidents.get(key, NO_INCIDENTS),
            commands=commands.get(key, NOTHING),
        )
        for key in shown
    ]
    return sorted(lines, key=lambda line: (line.tenant, line.site))


def list_told(where: Q, *, since: datetime, until: datetime) -> list[Told]:
    """Return when which device belonged to an incident that explains its absence."""
    rows = IncidentMember.objects.filter(
        where,
        Q(until=None) | Q(until__gt=since),
        since__lt=until,
        incident__cause__in=EXPLAINED,
    )
    ends = Least(Coalesce(F("until"), Value(until)), Value(until))
    spans = rows.annotate(ends=Greatest(ends, F("since")))
    return list(spans.values_list("device", "incident__cause", "since", "ends"))
