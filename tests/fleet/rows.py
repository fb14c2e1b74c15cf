"""Makes rows of state and commands for documents, as their owners write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from commands.models import Command
from fleet.selectors.search import SearchResult, member_uids, search
from registry.models import Device, Tenant
from state.models import (
    Alarm,
    AlarmChange,
    DeadLetter,
    MaintenancePlace,
    MaintenanceWindow,
    Presence,
    Risk,
    TelemetrySummary,
    Twin,
)
from state.services.dead_letters import DeadLetterDraft, record_dead_letters

GOOD = b'{"code": "hot", "severity": "warning", "state": "raised"}'


def make_presence(device: Device, **values: Any) -> Presence:
    """Make a device online; ``values`` replace the defaults."""
    defaults = {"connectivity": "online", "cause": "", "since": timezone.now()}
    return Presence.objects.create(
        device=device, tenant=device.tenant, **(defaults | values)
    )


def make_twin(device: Device, **values: Any) -> Twin:
    """Make the twin of a device that has reported."""
    return Twin.objects.create(device=device, tenant=device.tenant, **values)


def make_telemetry(device: Device, **indexed: float) -> TelemetrySummary:
    """Store these indexed metrics of a device."""
    return TelemetrySummary.objects.create(
        device=device, tenant=device.tenant, indexed=indexed
    )


def make_risk(device: Device, score: int, **points: int) -> Risk:
    reasons = [{"name": n, "points": p, "text": n} for n, p in points.items()]
    return Risk.objects.create(
        device=device,
        tenant=device.tenant,
        score=score,
        reasons=reasons,
        at=timezone.now(),
    )


def make_maintenance(
    device: Device, *, begins: float, ends: float, at_site: bool = False
) -> MaintenancePlace:
    """Announce maintenance of a device or its site; the times in hours from now."""
    now = timezone.now()
    span = {
        "from_at": now + timedelta(hours=begins),
        "until": now + timedelta(hours=ends),
    }
    window = MaintenanceWindow.objects.create(
        tenant=device.tenant, reason="work", **span
    )
    where = {"site": device.site} if at_site else {"device": device}
    return MaintenancePlace.objects.create(
        tenant=device.tenant, window=window, **where, **span
    )


def make_alarm(device: Device, **values: Any) -> Alarm:
    """Make an open, critical alarm and its changes; ``values`` replace defaults."""
    now = timezone.now()
    defaults = {"code": "hot", "severity": "critical", "raised_at": now, "last_at": now}
    alarm = Alarm.objects.create(
        device=device, tenant=device.tenant, **(defaults | values)
    )
    for move, reason in (
        ("raised", "event"),
        ("acknowledged", "person"),
        ("cleared", "event"),
    ):
        if at := getattr(alarm, f"{move}_at"):
            AlarmChange.objects.create(
                tenant=alarm.tenant,
                device=device,
                alarm=alarm,
                at=at,
                move=move,
                reason=reason,
                code=alarm.code,
                severity=alarm.severity,
                count=alarm.count,
            )
    return alarm


def make_command(device: Device, **values: Any) -> Command:
    """Make a queued command; ``values`` replace the defaults."""
    now = timezone.now()
    defaults: dict[str, Any] = {
        "name": "reboot",
        "command_class": "operation",
        "status": "queued",
        "status_since": now,
        "created_at": now,
        "due_at": now,
        "expires_at": now + timedelta(hours=1),
    }
    return Command.objects.create(
        device=device, tenant=device.tenant, **(defaults | values)
    )


def uids_of(tenant: Tenant, query: str) -> list[str]:
    """Return the sorted uids that a query finds."""
    return member_uids(tenants=[tenant], q=query)


def find(tenant: Tenant, query: str, **options: Any) -> SearchResult:
    """Search within one tenant."""
    return search(tenants=[tenant], q=query, **options)


def make_letter(
    device: Device | None,
    payload: bytes = GOOD,
    *,
    reason: str = "bad_json",
    uid: str = "",
    hours_ago: float = 1,
) -> DeadLetter:
    """Record a rejected message of a device, or of an unknown uid."""
    uid = device.uid if device else uid
    draft = DeadLetterDraft(
        topic=f"iot/v1/{uid}/event",
        adapter="mqtt",
        reason=reason,
        detail="It is not of the protocol.",
        tenant_id=device.tenant_id if device else None,
        payload=payload,
        uid=uid,
    )
    at = datetime.now(UTC) - timedelta(hours=hours_ago)
    record_dead_letters([draft], now=at)
    return DeadLetter.objects.latest("pk")
