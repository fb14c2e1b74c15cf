"""Maintenance windows: opened by people and by jobs, ended, changed, deleted."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from iotplatform.common.ids import new_public_id
from state.exceptions import WindowRefused
from state.models import MaintenanceWindow
from state.services import bulk

if TYPE_CHECKING:
    from registry.models import Device, Site, Tenant, User

_OPEN = """
    INSERT INTO state_maintenancewindow
        (public_id, tenant_id, device_id, from_at, until, reason, created_at)
    SELECT v.public_id, d.tenant_id, d.id, %s, %s, %s, %s
    FROM unnest(%s::uuid[], %s::bigint[]) AS v(public_id, device_id)
    JOIN registry_device d ON d.id = v.device_id ORDER BY d.id
"""
_END = """
    UPDATE state_maintenancewindow SET until = %s WHERE id IN (
        SELECT id FROM state_maintenancewindow
        WHERE device_id = ANY(%s) AND reason = %s AND from_at < %s AND until > %s
        ORDER BY id FOR UPDATE
    )
"""


@transaction.atomic
def open_window(
    *,
    tenant: Tenant,
    device: Device | None,
    site: Site | None,
    from_at: datetime,
    until: datetime,
    reason: str,
    by: User,
) -> MaintenanceWindow:
    """Announce work at a device or at a site; WindowRefused for neither, or both."""
    if (device is None) == (site is None):
        raise WindowRefused(device="Name a device or a site, and not both.")
    _check(from_at, until)
    return MaintenanceWindow.objects.create(
        tenant=tenant,
        device=device,
        site=site,
        from_at=from_at,
        until=until,
        reason=reason,
        created_by=by,
    )


@transaction.atomic
def change_window(
    window: MaintenanceWindow,
    *,
    from_at: datetime | None = None,
    until: datetime | None = None,
    reason: str | None = None,
) -> MaintenanceWindow:
    """Move or reword a window; to end it now is to give it ``until`` now."""
    rows = MaintenanceWindow.objects.select_related(
        "tenant", "device", "site", "created_by"
    )
    locked = rows.select_for_update(of=("self",)).get(pk=window.pk)
    locked.from_at = from_at or locked.from_at
    locked.until = until or locked.until
    locked.reason = locked.reason if reason is None else reason
    _check(locked.from_at, locked.until)
    locked.save(update_fields=["from_at", "until", "reason"])
    return locked


@transaction.atomic
def end_window(window: MaintenanceWindow, *, at: datetime) -> None:
    """End a window; one that has not begun by then is called off, and was never."""
    rows = MaintenanceWindow.objects.select_for_update(of=("self",))
    locked = rows.filter(pk=window.pk).first()
    if locked is None or locked.until <= at:
        return  # it is over, by whomever
    if locked.from_at >= at:
        locked.delete()
        return
    locked.until = at
    locked.save(update_fields=["until"])


def delete_window(window: MaintenanceWindow) -> None:
    """Remove a window; what it held back is raised if it is still there."""
    window.delete()


@transaction.atomic
def open_for_devices(
    device_ids: Collection[int], *, from_at: datetime, until: datetime, reason: str
) -> int:
    """Open a window for each of these devices in one statement; return how many."""
    ids = sorted(device_ids)
    public_ids = [new_public_id() for _ in ids]
    return bulk.run(_OPEN, [from_at, until, reason, from_at, public_ids, ids])


@transaction.atomic
def end_for_devices(device_ids: Collection[int], *, reason: str, at: datetime) -> int:
    """End the windows that were opened for these devices with this reason."""
    return bulk.run(_END, [at, sorted(device_ids), reason, at, at])


def _check(from_at: datetime, until: datetime) -> None:
    if until <= from_at:
        raise WindowRefused(until="It ends before it begins.")
