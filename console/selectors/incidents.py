"""Reads of incidents: what people see of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Case, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Least

from commands.selectors.jobs import list_jobs
from console.choices import IncidentCause, IncidentObject, IncidentStatus
from console.exceptions import NoSuchIncident
from console.models import Incident, IncidentEvent, IncidentMember
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant, sets_within
from state.choices import Severity

if TYPE_CHECKING:
    from registry.models import Tenant, User

VIEWS = ("mine", "unassigned", "all", "snoozed")
# A query that names more devices would be too long to read, and to send.
MOST_NAMED = 100
# By severity; devices and time are added to it.
DEVICES = ((100, 30), (10, 20), (2, 10))  # at least so many, points
# A clock that ends within this time, points, why.
CLOCKS = (
    (timedelta(0), 40, "its SLA time is over"),
    (timedelta(minutes=30), 20, "its SLA time ends within 30 minutes"),
)
SCORES = {Severity.CRITICAL: 60, Severity.WARNING: 40, Severity.INFO: 20}


@dataclass(frozen=True)
class Affected:
    """The devices of an incident, and a search that finds them."""

    count: int
    query: str


def list_incidents(*, tenants: Sequence[Tenant]) -> QuerySet[Incident]:
    """Return the incidents, open and resolved.

    A limited member sees those that have no device, and no job, outside their limit.
    """
    found = sets_within(tenants, IncidentMember.objects.all(), owner="incident")
    if limited := [tenant for tenant in tenants if tenant.limit is not None]:
        whole = [tenant for tenant in tenants if tenant.limit is None]
        keys = list_jobs(tenants=limited).values_list("public_id", flat=True)
        jobs = Q(object_kind=IncidentObject.JOB, object_id__in=[str(k) for k in keys])
        mine = Q(device_count__gt=0) | jobs
        found &= Q(tenant__in=whole) | mine
    rows = Incident.objects.filter(found)
    return rows.select_related("tenant", "assignee", "absorbed_by")


def get_incident(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Incident:
    """Return one incident; raises NoSuchIncident."""
    wanted = parse_uuid(public_id)
    row = wanted and list_incidents(tenants=tenants).filter(public_id=wanted).first()
    if not row:
        raise NoSuchIncident
    attach_caller_tenant(row, tenants)
    return row


def list_open_incidents(
    *, tenants: Sequence[Tenant], view: str = "all", user: User | None = None
) -> QuerySet[Incident]:
    """Return what needs a person; ``view`` is one of VIEWS, ``user`` who looks."""
    rows = list_incidents(tenants=tenants).exclude(status=IncidentStatus.RESOLVED)
    snoozed = Q(status=IncidentStatus.SNOOZED)
    if view == "snoozed":
        return rows.filter(snoozed)
    rows = rows.exclude(snoozed)
    if view == "mine":
        return rows.filter(assignee=user)
    return rows.filter(assignee=None) if view == "unassigned" else rows


def rank_incidents(rows: QuerySet[Incident], *, now: datetime) -> QuerySet[Any]:
    """Give each its ``rank``, the lowest is the most urgent, as ``urgency_of`` says."""
    due = Case(
        When(acknowledged_at=None, then=Least("acknowledge_due_at", "resolve_due_at")),
        default=F("resolve_due_at"),
    )
    ranked = rows.annotate(clock=due)
    severity = [When(severity=name, then=Value(more)) for name, more in SCORES.items()]
    devices = [When(device_count__gte=n, then=Value(more)) for n, more in DEVICES]
    clock = [When(clock__lte=now + span, then=Value(more)) for span, more, _ in CLOCKS]
    return ranked.annotate(
        rank=-(_points(severity) + _points(devices) + _points(clock))
    )


def _points(cases: list[When]) -> Case:
    return Case(*cases, default=Value(0), output_field=IntegerField())


def urgency_of(row: Incident, *, now: datetime) -> tuple[int, list[str]]:
    """Return how urgent an incident is, and why: clock, severity, devices."""
    score, reasons = SCORES[Severity(row.severity)], [f"its severity is {row.severity}"]
    due = due_at(row)
    for span, points, text in CLOCKS:
        if due is not None and due <= now + span:
            score += points
            reasons.insert(0, text)
            break
    for count, points in DEVICES:
        if row.device_count >= count:
            score += points
            reasons.append(f"{row.device_count:,} devices are affected")
            break
    if row.regressed:
        reasons.append("it came back")
    return score, reasons


def due_at(row: Incident) -> datetime | None:
    """Return what ends first: the time to acknowledge it, or to resolve it."""
    due = [row.resolve_due_at]
    if row.acknowledged_at is None:
        due.append(row.acknowledge_due_at)
    return min((at for at in due if at is not None), default=None)


def events_of(rows: Collection[Incident]) -> dict[int, list[IncidentEvent]]:
    """Return the events of each incident, the oldest first, in one query."""
    found: dict[int, list[IncidentEvent]] = defaultdict(list)
    events = IncidentEvent.objects.filter(incident__in=[row.pk for row in rows])
    for event in events.select_related("actor").order_by("pk"):
        found[event.incident_id].append(event)
    return found


def devices_of(rows: Collection[Incident]) -> dict[int, Affected]:
    """Return the devices of each incident; one query for all."""
    few = [row.pk for row in rows if 0 < row.device_count <= MOST_NAMED]
    named: dict[int, list[str]] = defaultdict(list)
    members = IncidentMember.objects.filter(incident__in=few).order_by("device__uid")
    for incident_id, uid in members.values_list("incident", "device__uid"):
        if uid is not None:
            named[incident_id].append(uid)
    return {row.pk: _affected(row, named.get(row.pk, [])) for row in rows}


def list_member_ids(incident: Incident, *, most: int) -> list[int]:
    """Return the devices that belong to it now, or all that ever did."""
    rows = IncidentMember.objects.filter(incident=incident).order_by("device")
    if incident.is_open:
        rows = rows.filter(until=None)
    return list(rows.values_list("device", flat=True)[:most])


def _affected(row: Incident, uids: list[str]) -> Affected:
    """Name the devices where they are few; else the group, and what is wrong."""
    if uids:
        names = " OR ".join(map(quoted, uids))
        return Affected(
            len(uids), f"uid:{names}" if len(uids) == 1 else f"uid:({names})"
        )
    return Affected(row.device_count, _query_of_group(row))


def quoted(value: str) -> str:
    """Return a value as a search reads it, whatever is in it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _query_of_group(row: Incident) -> str:
    name, lost = row.object_id, "connectivity:(offline OR stale)"
    if row.cause == IncidentCause.ADAPTER:
        return f"adapter:{quoted(name)} AND lifecycle:active"
    if row.cause == IncidentCause.PLATFORM:
        return "cause:platform_blind"
    if row.cause == IncidentCause.GATEWAY:
        return f"(gateway:{quoted(name)} OR uid:{quoted(name)})"
    if row.cause == IncidentCause.SITE:
        return f"site:{quoted(name)} AND ({lost} OR alarms:>0)"
    if row.object_kind == IncidentObject.FIRMWARE:
        product, _, version = name.partition("/")
        return f"product:{quoted(product)} AND firmware:{quoted(version)}"
    if row.object_kind == IncidentObject.BATCH:
        return f"batch:{quoted(name)}"
    if row.cause == IncidentCause.COMMAND:
        return f"last_command:{quoted(name)}"
    return ""  # a job that stands still names no device
