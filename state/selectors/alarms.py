"""Reads of alarms."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from registry.models import Device, Tenant
from registry.selectors.reach import carry, within
from state.exceptions import AlarmNotFound
from state.lifecycle import OPEN_ALARMS
from state.models import Alarm


def list_alarms(*, tenants: Sequence[Tenant]) -> QuerySet[Alarm]:
    """Return the alarms of these tenants, open and cleared."""
    rows = Alarm.objects.filter(within(tenants, device="device"))
    return rows.select_related("tenant", "device", "acknowledged_by")


def get_alarm(*, tenants: Sequence[Tenant], alarm_id: UUID | None) -> Alarm:
    """Return one alarm; raises AlarmNotFound."""
    alarms = list_alarms(tenants=tenants)
    alarm = alarms.filter(public_id=alarm_id).first() if alarm_id else None
    if alarm is None:
        raise AlarmNotFound("There is no such alarm.")
    carry(alarm, tenants)
    return alarm


def open_alarms(device: Device) -> QuerySet[Alarm]:
    """Return what a device complains about now, the newest first."""
    rows = Alarm.objects.filter(device=device, state__in=OPEN_ALARMS)
    return rows.order_by("-raised_at", "-pk")
