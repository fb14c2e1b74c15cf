"""Incidents for tests: rows as the sweep makes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.utils import timezone

from console.choices import IncidentCause, IncidentObject
from console.models import Incident
from registry.models import Device, Tenant
from state.choices import Severity
from state.models import Alarm, Presence


def make_incident(tenant: Tenant, **given: Any) -> Incident:
    """Return an open incident of a device; ``given`` are other columns."""
    now = timezone.now()
    values: dict[str, Any] = {
        "number": Incident.objects.filter(tenant=tenant).count() + 1,
        "cause": IncidentCause.DEVICE,
        "object_kind": IncidentObject.DEVICE,
        "object_id": "dev-1",
        "object_name": "dev-1",
        "title": "dev-1 does not answer",
        "severity": Severity.WARNING,
        "first_evidence_at": now,
        "opened_at": now,
    }
    return Incident.objects.create(tenant=tenant, **(values | given))


def fall_silent(
    devices: Iterable[Device],
    *,
    at: datetime,
    cause: str = "missed_heartbeats",
    connectivity: str = "offline",
) -> None:
    """Make these devices offline since then, as the judgment would store it."""
    for device in devices:
        Presence.objects.update_or_create(
            device=device,
            defaults={
                "tenant_id": device.tenant_id,
                "connectivity": connectivity,
                "cause": cause,
                "since": at,
            },
        )


def come_online(devices: Iterable[Device], *, at: datetime) -> None:
    fall_silent(devices, at=at, cause="", connectivity="online")


def raise_alarm(device: Device, *, at: datetime, **given: Any) -> Alarm:
    values = {"code": "hot", "severity": Severity.WARNING, **given}
    return Alarm.objects.create(
        device=device, tenant=device.tenant, raised_at=at, last_at=at, **values
    )
