"""Open, change, end and delete maintenance windows, for people and for jobs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from django.db import transaction

from iotplatform.common import bulk_sql
from iotplatform.common.batches import until_drained
from iotplatform.common.ids import new_public_id
from state.exceptions import WindowNotFound, WindowRefused
from state.models import MaintenancePlace, MaintenanceWindow

if TYPE_CHECKING:
    from registry.models import Device, Site, Tenant, User

# As long as the change logs that the windows explain.
KEPT = timedelta(days=400)
FORGOTTEN_AT_ONCE = 1_000
SETTLED_AT_ONCE = 1_000

# One window per tenant and origin, however often devices join and leave it.
_OPEN = f"""
    INSERT INTO state_maintenancewindow AS w
        (public_id, tenant_id, from_at, until, reason, origin, created_at)
    SELECT v.public_id, v.tenant_id, %s, %s, %s, %s, %s
    FROM {bulk_sql.unnest(MaintenanceWindow, "public_id", "tenant_id")}
    ON CONFLICT (tenant_id, origin) WHERE origin <> ''
        DO UPDATE SET until = greatest(w.until, excluded.until)
    RETURNING id, tenant_id
"""
_TENANTS = "SELECT DISTINCT tenant_id FROM registry_device WHERE id = ANY(%s)"
_PLACES = f"""
    INSERT INTO state_maintenanceplace AS p
        (tenant_id, window_id, device_id, from_at, until)
    SELECT d.tenant_id, v.window_id, d.id, %s, %s
    FROM {bulk_sql.unnest(MaintenancePlace, "window_id", "tenant_id")}
    JOIN registry_device d ON d.tenant_id = v.tenant_id AND d.id = ANY(%s)
    ORDER BY d.id
    ON CONFLICT (window_id, device_id) WHERE device_id IS NOT NULL
        DO UPDATE SET from_at = CASE WHEN p.until > excluded.from_at
            THEN p.from_at ELSE excluded.from_at END, until = excluded.until
"""
_END = """
    UPDATE state_maintenanceplace SET until = %s WHERE id IN (
        SELECT p.id FROM state_maintenanceplace p
        JOIN state_maintenancewindow w ON w.id = p.window_id
        WHERE p.device_id = ANY(%s) AND w.reason = %s AND (%s = '' OR w.origin = %s)
            AND p.from_at < %s AND p.until > %s
        ORDER BY p.id FOR UPDATE OF p
    ) RETURNING window_id, device_id
"""
# A window lasts as long as its last place.
_FOLLOW = """
    UPDATE state_maintenancewindow w SET until = (
        SELECT max(p.until) FROM state_maintenanceplace p WHERE p.window_id = w.id
    ) WHERE w.id IN (
        SELECT id FROM state_maintenancewindow WHERE id = ANY(%s)
        ORDER BY id FOR UPDATE
    )
"""
# Check held-back alarms again: they may be raised from now on.
_LOOK_AGAIN = """
    UPDATE state_heldalarm SET look_at = due_at WHERE id IN (
        SELECT id FROM state_heldalarm WHERE look_at > due_at AND device_id = ANY(%s)
        ORDER BY device_id, code FOR UPDATE
    )
"""
_HELD_AT_WINDOW = """
    SELECT DISTINCT h.device_id FROM state_heldalarm h
    JOIN registry_device d ON d.id = h.device_id
    JOIN state_maintenanceplace p ON p.device_id = d.id OR p.site_id = d.site_id
    WHERE p.window_id = %s AND h.look_at > h.due_at
"""
_FORGET_PLACES = "DELETE FROM state_maintenanceplace WHERE window_id = ANY(%s)"
_FORGET = "DELETE FROM state_maintenancewindow WHERE id = ANY(%s)"
# Begun or ended since the last look; also after the clock was set back.
_SETTLE = """
    UPDATE state_maintenanceplace SET is_in_force = (from_at <= %s AND until > %s)
    WHERE id IN (
        SELECT p.id FROM state_maintenanceplace p WHERE p.id IN (
            SELECT id FROM state_maintenanceplace
            WHERE is_in_force AND (until <= %s OR from_at > %s)
            UNION ALL
            SELECT id FROM state_maintenanceplace
            WHERE NOT is_in_force AND until > %s AND from_at <= %s
        )
        ORDER BY p.id LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""
_OLD = """
    SELECT id FROM state_maintenancewindow WHERE until < %s
    ORDER BY until LIMIT %s FOR UPDATE SKIP LOCKED
"""


@transaction.atomic
def open_window(
    *,
    tenant: Tenant,
    devices: Sequence[Device] = (),
    sites: Sequence[Site] = (),
    from_at: datetime,
    until: datetime,
    reason: str,
    by: User,
) -> MaintenanceWindow:
    """Announce work at devices, or at whole sites.

    Raises WindowRefused for both or neither, places of another tenant, or bad times.
    """
    if bool(devices) == bool(sites):
        raise WindowRefused(device="Name devices or sites, not both.")
    owners = {row.tenant_id for row in devices} | {row.tenant_id for row in sites}
    if owners != {tenant.pk}:
        field = "device" if devices else "site"
        refusal = {"field": field, "message": "They belong to several tenants."}
        raise WindowRefused(errors=[refusal])
    _check(from_at, until)
    window = MaintenanceWindow.objects.create(
        tenant=tenant, from_at=from_at, until=until, reason=reason, created_by=by
    )
    span = {"tenant": tenant, "window": window, "from_at": from_at, "until": until}
    MaintenancePlace.objects.bulk_create(
        [
            *(MaintenancePlace(device_id=pk, **span) for pk in _ids(devices)),
            *(MaintenancePlace(site_id=pk, **span) for pk in _ids(sites)),
        ]
    )
    return window


@transaction.atomic
def change_window(
    window: MaintenanceWindow,
    *,
    from_at: datetime | None = None,
    until: datetime | None = None,
    reason: str | None = None,
) -> MaintenanceWindow:
    """Change the times or the reason of a window; ``until`` = now ends it.

    Places whose work ended earlier stay ended. Raises WindowRefused if it would end
    before it begins, WindowNotFound if it was deleted meanwhile.
    """
    locked = _lock(window)
    if locked is None:
        raise WindowNotFound("The maintenance window was deleted meanwhile.")
    before = locked.until
    locked.from_at = from_at or locked.from_at
    locked.until = until or locked.until
    locked.reason = locked.reason if reason is None else reason
    _check(locked.from_at, locked.until)
    locked.save(update_fields=["from_at", "until", "reason"])
    places = MaintenancePlace.objects.filter(window=locked, until=before)
    places.update(from_at=locked.from_at, until=locked.until)
    _look_again_at(locked)
    return locked


@transaction.atomic
def end_window(window: MaintenanceWindow, *, at: datetime) -> MaintenanceWindow | None:
    """End a window and return it; delete one that has not begun and return None."""
    locked = _lock(window)
    if locked is None:
        return None
    if locked.until <= at:
        return locked  # it is already over
    if locked.from_at >= at:
        delete_window(locked)
        return None
    locked.until = at
    locked.save(update_fields=["until"])
    MaintenancePlace.objects.filter(window=locked, until__gt=at).update(until=at)
    _look_again_at(locked)
    return locked


@transaction.atomic
def delete_window(window: MaintenanceWindow) -> None:
    """Delete a window; its held-back alarms are raised if they are still present."""
    _look_again_at(window)
    window.delete()


@transaction.atomic
def open_for_devices(
    device_ids: Collection[int],
    *,
    from_at: datetime,
    until: datetime,
    reason: str,
    origin: str = "",
) -> int:
    """Begin maintenance of many devices in few statements; return how many.

    All work with the same ``origin`` (a job) shares one window per tenant: the devices
    join it, or stay in it for longer.
    """
    ids = sorted(device_ids)
    tenants = sorted(row[0] for row in bulk_sql.fetch(_TENANTS, [ids]))
    if not tenants:
        return 0
    public_ids = [new_public_id() for _ in tenants]
    windows = bulk_sql.fetch(
        _OPEN,
        [from_at, until, reason, origin, from_at, public_ids, tenants],
    )
    columns = bulk_sql.columns_of(sorted(windows), 2)
    return bulk_sql.run(_PLACES, [from_at, until, *columns, ids])


@transaction.atomic
def end_for_devices(
    device_ids: Collection[int], *, reason: str, at: datetime, origin: str = ""
) -> int:
    """End the maintenance of these devices with this reason; return how many."""
    ended = bulk_sql.fetch(
        _END, [at, sorted(device_ids), reason, origin, origin, at, at]
    )
    if ended:
        bulk_sql.run(_FOLLOW, [sorted({row[0] for row in ended})])
        bulk_sql.run(_LOOK_AGAIN, [sorted(row[1] for row in ended)])
    return len(ended)


def settle_places_across_tenants(*, now: datetime) -> int:
    """Mark the places whose work began or ended by time; return how many.

    Places that another sweep or a person has locked are left to the next second.
    """
    step = partial(bulk_sql.run, _SETTLE, [*[now] * 6, SETTLED_AT_ONCE])
    return until_drained(step, batch=SETTLED_AT_ONCE)


@transaction.atomic
def forget_windows_across_tenants(*, now: datetime) -> int:
    """Delete a batch of windows that ended longer ago than KEPT; return how many."""
    ids = [row[0] for row in bulk_sql.fetch(_OLD, [now - KEPT, FORGOTTEN_AT_ONCE])]
    bulk_sql.run(_FORGET_PLACES, [ids])
    return bulk_sql.run(_FORGET, [ids])


def _lock(window: MaintenanceWindow) -> MaintenanceWindow | None:
    rows = MaintenanceWindow.objects.select_related("tenant", "created_by")
    return rows.select_for_update(of=("self",)).filter(pk=window.pk).first()


def _look_again_at(window: MaintenanceWindow) -> None:
    ids = [row[0] for row in bulk_sql.fetch(_HELD_AT_WINDOW, [window.pk])]
    bulk_sql.run(_LOOK_AGAIN, [sorted(ids)])


def _ids(rows: Sequence[Device] | Sequence[Site]) -> list[int]:
    return sorted({row.pk for row in rows})


def _check(from_at: datetime, until: datetime) -> None:
    if until <= from_at:
        raise WindowRefused(until="The end must be after the beginning.")
