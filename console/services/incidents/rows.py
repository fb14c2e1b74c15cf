"""The rows of incidents, many at a time: opening, coming back, closing, devices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Max

from console.choices import IncidentEventKind as Kind
from console.choices import IncidentStatus
from console.judgment.correlation import Group
from console.judgment.incident_titles import title_of
from console.models import Incident, IncidentEvent, IncidentMember
from console.services.incidents.clock import (
    start_clocks,
    stop_clocks,
    stop_clocks_with_cause,
)
from console.services.incidents.wanted import Wanted
from iotplatform.common import bulk_sql

BATCH = 10_000  # members a statement

_ADD = (
    bulk_sql.insert_rows(
        IncidentMember, "tenant_id", "incident_id", "device_id", "since"
    )
    + " ON CONFLICT (incident_id, device_id) DO UPDATE SET until = NULL"
)
_ABSORB = bulk_sql.update_by_key(Incident, "absorbed_by_id")
_END = """
    UPDATE console_incidentmember m SET until = %s
    FROM unnest(%s::bigint[], %s::bigint[]) AS v(incident_id, device_id)
    WHERE m.incident_id = v.incident_id AND m.device_id = v.device_id
        AND m.until IS NULL
"""
_COUNT = """
    UPDATE console_incident i SET device_count = (
        SELECT count(*) FROM console_incidentmember m WHERE m.incident_id = i.id)
    WHERE i.id = ANY(%s)
"""


def key_of(row: Incident) -> Group:
    return Group(row.tenant_id, row.cause, row.object_kind, row.object_id)  # type: ignore[arg-type]


def open_incidents(
    wanted: Sequence[tuple[Group, Wanted]], *, now: datetime
) -> list[Incident]:
    """Make new incidents, with their clocks; the caller is the only one that does."""
    tenants = {key.tenant_id for key, _ in wanted}
    numbers = dict(
        Incident.objects.filter(tenant__in=tenants)
        .values("tenant")
        .annotate(last=Max("number"))
        .order_by()
        .values_list("tenant", "last")
    )
    made = []
    for key, each in wanted:
        numbers[key.tenant_id] = numbers.get(key.tenant_id, 0) + 1
        made.append(_new(key, each, number=numbers[key.tenant_id], now=now))
    Incident.objects.bulk_create(made, batch_size=1_000)
    start_clocks(made)
    texts = ["; ".join(each.texts) for _, each in wanted]
    record(made, Kind.OPENED, now=now, texts=texts)
    return made


def reopen_incidents(rows: Sequence[Incident], *, now: datetime) -> None:
    """Let incidents that ended within the hour go on, as regressed."""
    Incident.objects.filter(pk__in=[row.pk for row in rows]).update(
        status=IncidentStatus.OPEN,
        regressed=True,
        resolved_at=None,
        resolution="",
        calm_since=None,
        absorbed_by=None,
    )
    for row in rows:
        row.status, row.regressed, row.resolved_at = IncidentStatus.OPEN, True, None
        row.calm_since = row.absorbed_by = None
    start_clocks(rows, at=now)
    record(rows, Kind.REGRESSED, now=now)


def close_incidents(rows: Sequence[Incident], *, now: datetime, text: str) -> None:
    """Resolve open incidents whose cause is gone; their clocks ended with it."""
    stop_clocks_with_cause([row.pk for row in rows], now=now)
    _resolve(rows, now=now)
    record(rows, Kind.RESOLVED, now=now, texts=[text] * len(rows))


def absorb_incidents(
    pairs: Sequence[tuple[Incident, Incident]], *, now: datetime
) -> None:
    """Resolve the first of each pair: its devices belong to the second one now."""
    narrow = [row for row, _ in pairs]
    stop_clocks([row.pk for row in narrow], at=now)
    _resolve(narrow, now=now)
    for row, wide in pairs:
        row.absorbed_by = wide
    taken_by = [(row.pk, wide.pk) for row, wide in pairs]
    bulk_sql.run(_ABSORB, bulk_sql.columns_of(taken_by, 2))
    texts = [f"it is part of #{wide.number} {wide.title}" for _, wide in pairs]
    record(narrow, Kind.MERGED, now=now, texts=texts)
    taken = [f"#{row.number} {row.title}" for row in narrow]
    record([wide for _, wide in pairs], Kind.ABSORBED, now=now, texts=taken)


def write_members(
    added: Sequence[tuple[Incident, int, datetime]],
    ended: Sequence[tuple[int, int]],
    *,
    now: datetime,
) -> None:
    """Add devices to incidents, and end the membership of (incident, device)."""
    for begin in range(0, len(added), BATCH):
        rows = [
            (row.tenant_id, row.pk, device_id, since)
            for row, device_id, since in added[begin : begin + BATCH]
        ]
        bulk_sql.run(_ADD, bulk_sql.columns_of(rows, 4))
    if ended:
        bulk_sql.run(_END, [now, *bulk_sql.columns_of(ended, 2)])
    if grown := sorted({row.pk for row, _, _ in added}):
        bulk_sql.run(_COUNT, [grown])


def record(
    rows: Sequence[Incident],
    kind: Kind,
    *,
    now: datetime,
    texts: Sequence[str] | None = None,
) -> None:
    """Write one event for each incident."""
    IncidentEvent.objects.bulk_create(
        [
            IncidentEvent(
                tenant_id=row.tenant_id, incident=row, at=now, kind=kind, text=text
            )
            for row, text in zip(rows, texts or [""] * len(rows), strict=True)
        ],
        batch_size=1_000,
    )


def end_members(incident_ids: Collection[int], *, now: datetime) -> None:
    """End all membership of these incidents."""
    rows = IncidentMember.objects.filter(incident__in=incident_ids, until=None)
    rows.update(until=now)


def _resolve(rows: Sequence[Incident], *, now: datetime) -> None:
    ids = [row.pk for row in rows]
    still = Incident.objects.filter(pk__in=ids).exclude(status=IncidentStatus.RESOLVED)
    # What was due stays: the SLA report compares it.
    still.update(status=IncidentStatus.RESOLVED, resolved_at=now, snoozed_until=None)
    for row in rows:
        row.status, row.resolved_at, row.snoozed_until = (
            IncidentStatus.RESOLVED,
            now,
            None,
        )
    end_members(ids, now=now)


def _new(key: Group, each: Wanted, *, number: int, now: datetime) -> Incident:
    return Incident(
        tenant_id=key.tenant_id,
        number=number,
        cause=key.cause,
        object_kind=key.kind,
        object_id=key.key[:160],
        object_name=each.name[:200],
        title=title_of(key.cause, each.name, each.texts),
        severity=each.severity,
        alarm_count=each.alarms,
        first_evidence_at=min(each.first_at, now),
        opened_at=now,
    )
