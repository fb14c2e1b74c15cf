"""What is shown of incidents, in lists and alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils import timezone

from console.choices import IncidentObject
from console.judgment.advice import Advice, advise
from console.models import Incident, IncidentEvent
from console.selectors.incident_changes import Change, find_changes
from console.selectors.incidents import (
    Affected,
    devices_of,
    events_of,
    list_member_ids,
)
from fleet.selectors.search import count as count_devices
from iotplatform.common.problems import NotFound, Problem
from registry.selectors.devices import get_device
from state.selectors.diagnosis import diagnose_device, diagnose_set

# A diagnosis compares shares: those of so many devices stand for all.
MOST_DIAGNOSED = 2_000
SILENT = "does not answer"


@dataclass
class ShownIncident:
    """An incident with everything that people see of it."""

    row: Incident
    devices: Affected
    events: list[IncidentEvent]
    advice: Advice
    diagnosis: Any = None
    changes: list[Change] = field(default_factory=list)


def show_incidents(rows: Sequence[Incident]) -> list[ShownIncident]:
    """Return many incidents for a list: without diagnosis and changes."""
    events, devices = events_of(rows), devices_of(rows)
    return [
        ShownIncident(row, devices[row.pk], events[row.pk], _advice(row, None))
        for row in rows
    ]


def show_incident(row: Incident, *, now: datetime | None = None) -> ShownIncident:
    """Return one incident with its diagnosis and what was changed before it."""
    now = now or timezone.now()
    [shown] = show_incidents([row])
    members = list_member_ids(row, most=MOST_DIAGNOSED)
    if members and row.is_open:
        shown.diagnosis = _diagnose(row, members, now)
    verdict = shown.diagnosis["verdict"] if shown.diagnosis else None
    shown.advice = _advice(row, verdict)
    shown.changes = find_changes(row, members)
    if not row.device_count and shown.devices.query:
        shown.devices = _counted(row, shown.devices)
    return shown


def _diagnose(row: Incident, members: Sequence[int], now: datetime) -> Any:
    """Return what the device's own page says of it, or what its devices share."""
    if row.object_kind == IncidentObject.DEVICE:
        try:
            device = get_device(tenants=[row.tenant], uid=row.object_id)
        except NotFound:
            return None  # it has another name, or another owner now
        return diagnose_device(device, now=now)
    return diagnose_set(row.tenant, members, now=now)


def _advice(row: Incident, verdict: str | None) -> Advice:
    return advise(row.cause, verdict=verdict, is_silent=SILENT in row.title)


def _counted(row: Incident, found: Affected) -> Affected:
    """Count the devices of an incident that is about a path, not about devices."""
    try:
        return Affected(count_devices(tenants=[row.tenant], q=found.query), found.query)
    except Problem:
        return found  # the search does not answer now
