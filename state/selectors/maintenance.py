"""Reads of maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q, QuerySet

from registry.models import Tenant
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
