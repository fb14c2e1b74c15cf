"""Reads of maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Count, Exists, F, Model, OuterRef, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from registry.models import Device, Tenant
from registry.selectors.access import at_site_within, attach_caller_tenant, within
from state.exceptions import WindowBeyondAccess, WindowNotFound, WindowRefused
from state.models import MaintenancePlace, MaintenanceWindow

Named = TypeVar("Named", bound=Model)
PLACES_SHOWN = 100  # of a window; a job's may have 100,000


@dataclass
class Places:
    """Where the work of a window is: the first names, and the counts."""

    devices: list[str] = field(default_factory=list)
    device_count: int = 0
    sites: list[str] = field(default_factory=list)
    site_count: int = 0


def list_windows(*, tenants: Sequence[Tenant]) -> QuerySet[MaintenanceWindow]:
    """Return the windows with a device or site that the caller may access."""
    here = MaintenancePlace.objects.filter(_within(tenants), window=OuterRef("pk"))
    rows = MaintenanceWindow.objects.filter(Exists(here))
    return rows.select_related("tenant", "created_by")


def at_place(
    windows: QuerySet[MaintenanceWindow], *, device: str = "", site: str = ""
) -> QuerySet[MaintenanceWindow]:
    """Filter windows by the uid of a device, or by the slug of a site."""
    named = Q(device__uid=device) if device else Q(site__slug=site)
    here = MaintenancePlace.objects.filter(named, window=OuterRef("pk"))
    return windows.filter(Exists(here))


def get_window(*, tenants: Sequence[Tenant], window_id: UUID) -> MaintenanceWindow:
    """Return one window; raises WindowNotFound."""
    window = list_windows(tenants=tenants).filter(public_id=window_id).first()
    if window is None:
        raise WindowNotFound("There is no such maintenance window.")
    attach_caller_tenant(window, tenants)
    return window


def require_all_of(window: MaintenanceWindow, *, tenants: Sequence[Tenant]) -> None:
    """Raise WindowBeyondAccess if the caller may access only part of the window."""
    if any(tenant.limit is not None for tenant in tenants):
        every = MaintenancePlace.objects.filter(window=window)
        if every.exclude(pk__in=every.filter(_within(tenants))).exists():
            raise WindowBeyondAccess(
                "You have no access to some devices or sites of this window."
            )


def places_of(
    windows: Sequence[MaintenanceWindow], *, tenants: Sequence[Tenant]
) -> dict[int, Places]:
    """Return the places of each window that the caller may access; two queries.

    Returns only the first names of each, and the counts of all.
    """
    found = {window.pk: Places() for window in windows}
    for kind, name in (("device", "device__uid"), ("site", "site__slug")):
        rows = MaintenancePlace.objects.filter(
            _within(tenants), window__in=found, **{f"{kind}__isnull": False}
        ).annotate(
            place=Window(RowNumber(), partition_by=F("window"), order_by=F("pk").asc()),
            total=Window(Count("pk"), partition_by=F("window")),
        )
        shown = rows.filter(place__lte=PLACES_SHOWN).order_by("window", "place")
        for window_id, shown_name, total in shown.values_list("window", name, "total"):
            places = found[window_id]
            getattr(places, f"{kind}s").append(shown_name)
            setattr(places, f"{kind}_count", total)
    return found


def find_all(
    rows: QuerySet[Named], key: str, names: Sequence[str], *, field: str
) -> list[Named]:
    """Return the rows with these names, by one query.

    Raises WindowRefused, which names the missing ones.
    """
    wanted = list(dict.fromkeys(names))
    if not wanted:
        return []
    found = {getattr(row, key): row for row in rows.filter(**{f"{key}__in": wanted})}
    missing = [name for name in wanted if name not in found]
    if missing:
        what = field.removesuffix("s")
        raise WindowRefused(
            errors=[
                {"field": field, "message": f"There is no {what} {name}."}
                for name in missing
            ]
        )
    return [found[name] for name in wanted]


def windows_in_force(device: Device, *, now: datetime) -> list[MaintenanceWindow]:
    """Return the windows in force at a device or its site, the last to end first.

    Each has the ``until`` of this place, its ``site`` if the whole site is in work, and
    ``shared``: whether the window has other places too.
    """
    places = places_at(device).filter(from_at__lte=now, until__gt=now)
    others = MaintenancePlace.objects.filter(window=OuterRef("window"))
    places = places.annotate(shared=Exists(others.exclude(pk=OuterRef("pk"))))
    found: list[MaintenanceWindow] = []
    for place in places.order_by("-until", "-pk"):
        window: Any = place.window
        window.until, window.site, window.shared = place.until, place.site, place.shared
        found.append(window)
    return found


def places_at(device: Device) -> QuerySet[MaintenancePlace]:
    """Return the places of a device and of its present site, of its present owner."""
    here = Q(device=device)
    if device.site_id is not None:
        here |= Q(site=device.site_id)
    rows = MaintenancePlace.objects.filter(here, tenant=device.tenant_id)
    return rows.select_related("window__created_by", "site")


def _within(tenants: Sequence[Tenant]) -> Q:
    at_device = Q(device__isnull=False) & within(tenants, device="device")
    return at_device | (Q(site__isnull=False) & at_site_within(tenants))
