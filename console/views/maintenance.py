"""Maintenance windows: announce work at devices or sites, list it, end it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.paging import page_of
from console.presenters.labels import zone_label
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput
from registry.permissions import Right
from registry.selectors.devices import list_devices
from registry.selectors.places import list_sites
from state.selectors.maintenance import (
    Places,
    find_all,
    get_window,
    list_windows,
    places_of,
    require_all_of,
)
from state.services.maintenance import end_window, open_window

if TYPE_CHECKING:
    from registry.models import Device, Site, Tenant
    from state.models import MaintenanceWindow

MINUTES = "%Y-%m-%dT%H:%M"
PLACES = ("device", "site")
MAX_PLACES = 200  # devices or sites that a person may name


class WindowForm(forms.Form):
    """Where the work is, from when until when, and why."""

    device = forms.CharField(
        label="Devices (uids)",
        required=False,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="Separate several uids with commas or spaces.",
    )
    site = forms.CharField(
        label="Or whole sites",
        required=False,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    from_at = forms.DateTimeField(
        label="From",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTES),
        help_text="Leave empty to start now.",
    )
    until = forms.DateTimeField(
        label="Until",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTES),
    )
    reason = forms.CharField(label="Reason", max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("from_at", "until"):
            field = self.fields[name]
            field.label = f"{field.label}, {zone_label()}"


@page
def windows(request: ConsoleRequest) -> HttpResponse:
    """The windows of the shown tenants, the newest first; a POST announces one."""
    if request.method != "POST":
        given = {name: request.GET.get(name, "") for name in ("device", "site")}
        return _answer(request, WindowForm(initial=given), is_open=any(given.values()))
    tenants = request.scope.writable()
    form = WindowForm(request.POST)
    if not form.is_valid():
        return _answer(request, form, is_open=True)
    try:
        window = _announce(request, tenants, form)
    except BadInput as error:
        for row in error.errors:
            field = str(row["field"])
            form.add_error(field if field in form.fields else None, row["message"])
        return _answer(request, form, is_open=True)
    where = _where(_places(request, window))
    messages.success(request, f"Maintenance at {where} is announced.")
    return redirect("console:maintenance")


@require_POST
@page
def end(request: ConsoleRequest, window_id: UUID) -> HttpResponse:
    """End a window now, or cancel one that has not started."""
    window = get_window(tenants=request.scope.all_tenants, window_id=window_id)
    request.scope.require(Right.OPERATE, window.tenant_id)
    require_all_of(window, tenants=request.scope.all_tenants)
    now = timezone.now()
    result = "cancelled" if window.from_at > now else "ended"
    places = _places(request, window)
    end_window(window, at=now)
    messages.success(request, f"Maintenance at {_where(places)} is {result}.")
    if places.devices and request.POST.get("back") == "device":
        return redirect("console:device", places.devices[0])
    return redirect("console:maintenance")


def _announce(
    request: ConsoleRequest, tenants: list[Tenant], form: WindowForm
) -> MaintenanceWindow:
    values = form.cleaned_data
    names = {field: values[field].replace(",", " ").split() for field in PLACES}
    if any(len(given) > MAX_PLACES for given in names.values()):
        raise BadInput(device=f"At most {MAX_PLACES}. For more devices, start a job.")
    devices = find_all(
        list_devices(tenants=tenants), "uid", names["device"], field="device"
    )
    sites = find_all(list_sites(tenants=tenants), "slug", names["site"], field="site")
    places: list[Device | Site] = [*devices, *sites]
    return open_window(
        tenant=places[0].tenant if places else tenants[0],
        devices=devices,
        sites=sites,
        from_at=values["from_at"] or timezone.now(),
        until=values["until"],
        reason=values["reason"],
        by=request.user,
    )


def _answer(
    request: ConsoleRequest, form: WindowForm, *, is_open: bool
) -> HttpResponse:
    now = timezone.now()
    windows = list_windows(tenants=request.scope.tenants)
    found = page_of(request, windows)
    places = places_of(found.rows, tenants=request.scope.all_tenants)
    for row in found.rows:
        row.places, row.where = places[row.pk], _where(places[row.pk])
        row.status = _status(row, now)
        row.is_endable = row.until > now and request.scope.may(
            Right.OPERATE, row.tenant_id
        )
    active = windows.filter(from_at__lte=now, until__gt=now).count()
    context = {
        "headline": _headline(active),
        "windows": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "form": form,
        "is_open": is_open,
        "may_open": any(
            request.scope.may(Right.OPERATE, row.pk) for row in request.scope.tenants
        ),
    }
    status = 422 if form.errors else 200
    return render(request, "console/maintenance/list.html", context, status=status)


def _status(window: MaintenanceWindow, now: datetime) -> str:
    if window.until <= now:
        return "ended"
    return "planned" if window.from_at > now else "active"


def _places(request: ConsoleRequest, window: MaintenanceWindow) -> Places:
    return places_of([window], tenants=request.scope.all_tenants)[window.pk]


def _where(places: Places) -> str:
    total = places.device_count or places.site_count
    what = "devices" if places.device_count else "sites"
    if total == 1:
        return (places.devices or places.sites)[0]
    return f"{total:,} {what}"


def _headline(active: int) -> str:
    if not active:
        return "No active maintenance"
    return "1 active window" if active == 1 else f"{active:,} active windows"
