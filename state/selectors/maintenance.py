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
from registry.selectors.access import at_site_within, carry, within
from state.exceptions import WindowBeyondReach, WindowNotFound, WindowRefused
from state.models import MaintenancePlace, MaintenanceWindow

Named = TypeVar("Named", bound=Model)
PLACES_SHOWN = 100  # of a window; a job's may have 100,000


@dataclass
class Places:
    """At what the work of a window is: the first names, and how many there are."""

    devices: list[str] = field(default_factory=list)
    device_count: int = 0
    sites: list[str] = field(default_factory=list)
    site_count: int = 0


def list_windows(*, tenants: Sequence[Tenant]) -> QuerySet[MaintenanceWindow]:
    """Return the windows with a device or site that the caller reaches."""
    here = MaintenancePlace.objects.filter(_reached(tenants), window=OuterRef("pk"))
    rows = MaintenanceWindow.objects.filter(Exists(here))
    return rows.select_related("tenant", "created_by")


def at_place(
    windows: QuerySet[MaintenanceWindow], *, device: str = "", site: str = ""
) -> QuerySet[MaintenanceWindow]:
    """Narrow windows to those of a device, by its uid, or of a site, by its slug."""
    named = Q(device__uid=device) if device else Q(site__slug=site)
    here = MaintenancePlace.objects.filter(named, window=OuterRef("pk"))
    return windows.filter(Exists(here))


def get_window(*, tenants: Sequence[Tenant], window_id: UUID) -> MaintenanceWindow:
    """Return one window; raises WindowNotFound."""
    window = list_windows(tenants=tenants).filter(public_id=window_id).first()
    if window is None:
        raise WindowNotFound("There is no such maintenance window.")
    carry(window, tenants)
    return window


def require_all_of(window: MaintenanceWindow, *, tenants: Sequence[Tenant]) -> None:
    """Refuse who reaches only part of it: WindowBeyondReach."""
    if any(tenant.limit is not None for tenant in tenants):
        every = MaintenancePlace.objects.filter(window=window)
        if every.exclude(pk__in=every.filter(_reached(tenants))).exists():
            raise WindowBeyondReach("Part of this work is beyond your limit.")


def places_of(
    windows: Sequence[MaintenanceWindow], *, tenants: Sequence[Tenant]
) -> dict[int, Places]:
    """Return at what each window's work is, as far as the caller reaches; two queries.

    Only the first names of each, and the number of all.
    """
    found = {window.pk: Places() for window in windows}
    for kind, name in (("device", "device__uid"), ("site", "site__slug")):
        rows = MaintenancePlace.objects.filter(
            _reached(tenants), window__in=found, **{f"{kind}__isnull": False}
        ).annotate(
            place=Window(RowNumber(), partition_by=F("window"), order_by=F("pk").asc()),
            total=Window(Count("pk"), partition_by=F("window")),
        )
        shown = rows.filter(place__lte=PLACES_SHOWN).order_by("window", "place")
        for window_id, said, total in shown.values_list("window", name, "total"):
            places = found[window_id]
            getattr(places, f"{kind}s").append(said)
            setattr(places, f"{kind}_count", total)
    return found


def find_all(
    rows: QuerySet[Named], key: str, names: Sequence[str], *, field: str
) -> list[Named]:
    """Return what is called so, by one query; WindowRefused names what is missing."""
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
    """Return the work at a device or at its site, what lasts longest first.

    Each with the ``until`` of the work here, its ``site`` where it is at the whole one,
    and whether it is ``shared``: ending it concerns others too.
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
    """Return the work at a device, or at its site of now, of its owner of now."""
    here = Q(device=device)
    if device.site_id is not None:
        here |= Q(site=device.site_id)
    rows = MaintenancePlace.objects.filter(here, tenant=device.tenant_id)
    return rows.select_related("window__created_by", "site")


def _reached(tenants: Sequence[Tenant]) -> Q:
    at_device = Q(device__isnull=False) & within(tenants, device="device")
    return at_device | (Q(site__isnull=False) & at_site_within(tenants))
