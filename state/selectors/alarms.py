"""Reads of alarms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import Case, QuerySet, When
from django.utils import timezone

from iotplatform.common.device_clock import CLOCK_TOLERANCE
from registry.models import Device, Tenant
from registry.selectors.access import attach_caller_tenant, within
from state.choices import OPEN_ALARMS, AlarmState, Severity
from state.exceptions import AlarmNotFound
from state.models import Alarm, AlarmChange

WORST_FIRST = (Severity.CRITICAL, Severity.WARNING, Severity.INFO)


def list_alarms(*, tenants: Sequence[Tenant]) -> QuerySet[Alarm]:
    """Return the alarms that the caller may see, open and cleared."""
    rows = Alarm.objects.filter(within(tenants, device="device"))
    return rows.select_related("tenant", "device", "acknowledged_by", "rule")


def rank_by_severity(rows: QuerySet[Alarm]) -> QuerySet[Alarm]:
    """Add ``rank``: 0 for the most severe alarms."""
    steps = [
        When(severity=value, then=place) for place, value in enumerate(WORST_FIRST)
    ]
    return rows.annotate(rank=Case(*steps, default=len(steps)))


def get_alarm(*, tenants: Sequence[Tenant], alarm_id: UUID | None) -> Alarm:
    """Return one alarm; raises AlarmNotFound."""
    alarms = list_alarms(tenants=tenants)
    alarm = alarms.filter(public_id=alarm_id).first() if alarm_id else None
    if alarm is None:
        raise AlarmNotFound("There is no such alarm.")
    attach_caller_tenant(alarm, tenants)
    return alarm


def find_alarms(*, tenants: Sequence[Tenant], ids: Collection[UUID]) -> list[Alarm]:
    """Return all of these alarms; raises AlarmNotFound if one of them is missing."""
    found = list(list_alarms(tenants=tenants).filter(public_id__in=ids))
    if missing := set(ids) - {row.public_id for row in found}:
        raise AlarmNotFound(f"There is no such alarm: {min(map(str, missing))}.")
    return found


def change_log_of(alarm: Alarm) -> list[AlarmChange]:
    """Return what happened to an alarm, the oldest first.

    Reads only the partitions in question; the device's own time of the first report may
    differ from ours by CLOCK_TOLERANCE.
    """
    rows = AlarmChange.objects.filter(
        alarm=alarm.pk,
        tenant=alarm.tenant_id,
        at__gte=alarm.raised_at - CLOCK_TOLERANCE,
        at__lte=(alarm.cleared_at or timezone.now()) + CLOCK_TOLERANCE,
    )
    return list(rows.select_related("by").order_by("at", "pk"))


def describe_flapping(alarm: Alarm) -> str:
    """Return how often a flapping alarm came back, and its state; empty for others."""
    if alarm.flapping_since is None:
        return ""
    times = "once" if alarm.flaps == 1 else f"{alarm.flaps:,} times"
    back = f"came back {times}" if alarm.flaps else "raised again and again"
    if alarm.state == AlarmState.CLEARED:
        return f"came and went: {back}, kept as one alarm"
    now = "not present now" if alarm.calm_since else "present now"
    return f"comes and goes: {back}, {now}; kept as one alarm until it settles"


def open_alarms(device: Device) -> QuerySet[Alarm]:
    """Return the open alarms of a device, the newest first."""
    rows = Alarm.objects.filter(device=device, state__in=OPEN_ALARMS)
    return rows.order_by("-raised_at", "-pk")
