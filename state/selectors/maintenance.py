"""Reads of maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from registry.models import Device, Tenant
from registry.selectors.reach import at_site_within, carry, within
from state.exceptions import WindowNotFound
from state.models import MaintenanceWindow


def list_windows(*, tenants: Sequence[Tenant]) -> QuerySet[MaintenanceWindow]:
    """Return the windows at devices and sites that the caller reaches."""
    at_device = Q(device__isnull=False) & within(tenants, device="device")
    at_site = Q(site__isnull=False) & at_site_within(tenants)
    rows = MaintenanceWindow.objects.filter(at_device | at_site)
    return rows.select_related("tenant", "device", "site", "created_by")


def get_window(*, tenants: Sequence[Tenant], window_id: UUID) -> MaintenanceWindow:
    """Return one window; raises WindowNotFound."""
    window = list_windows(tenants=tenants).filter(public_id=window_id).first()
    if window is None:
        raise WindowNotFound("There is no such maintenance window.")
    carry(window, tenants)
    return window


def windows_in_force(device: Device, *, now: datetime) -> list[MaintenanceWindow]:
    """Return the work at a device or at its site, what lasts longest first."""
    here = Q(device=device)
    if device.site_id is not None:
        here |= Q(site=device.site_id)
    rows = MaintenanceWindow.objects.filter(
        here, tenant=device.tenant_id, from_at__lte=now, until__gt=now
    )
    return list(rows.select_related("site", "created_by").order_by("-until", "-pk"))
