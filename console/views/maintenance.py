"""Maintenance windows: work at a device or a site, announced, seen, and ended."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.paging import page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput, NotFound
from registry.permissions import Right
from registry.selectors.devices import get_device
from registry.selectors.places import get_site
from state.selectors.maintenance import get_window, list_windows
from state.services.maintenance import end_window, open_window

if TYPE_CHECKING:
    from registry.models import Tenant
    from state.models import MaintenanceWindow

MINUTES = "%Y-%m-%dT%H:%M"


class WindowForm(forms.Form):
    """At what somebody works, from when until when, and why."""

    device = forms.CharField(
        label="Device (its uid)",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    site = forms.CharField(
        label="Or a whole site",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    from_at = forms.DateTimeField(
        label="From, UTC",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTES),
        help_text="Empty: from now on.",
    )
    until = forms.DateTimeField(
        label="Until, UTC",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MINUTES),
    )
    reason = forms.CharField(label="Why", max_length=200)


@page
def windows(request: ConsoleRequest) -> HttpResponse:
    """The windows of the tenants in view, the newest first; and announcing one."""
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
    messages.success(request, f"Work at {_where(window)} is announced.")
    return redirect("console:maintenance")


@require_POST
@page
def end(request: ConsoleRequest, window_id: UUID) -> HttpResponse:
    """End a window now, or call off one that has not begun."""
    window = get_window(tenants=request.scope.all_tenants, window_id=window_id)
    request.scope.require(Right.OPERATE, window.tenant_id)
    now = timezone.now()
    word = "called off" if window.from_at > now else "over"
    end_window(window, at=now)
    messages.success(request, f"Work at {_where(window)} is {word}.")
    if window.device is not None and request.POST.get("back") == "device":
        return redirect("console:device", window.device.uid)
    return redirect("console:maintenance")


def _announce(
    request: ConsoleRequest, tenants: list[Tenant], form: WindowForm
) -> MaintenanceWindow:
    said = form.cleaned_data
    device = site = None
    try:
        if said["device"]:
            device = get_device(tenants=tenants, uid=said["device"])
    except NotFound as error:
        raise BadInput(device=str(error.detail)) from error
    try:
        if said["site"]:
            site = get_site(tenants=tenants, slug=said["site"])
    except NotFound as error:
        raise BadInput(site=str(error.detail)) from error
    place = device or site
    return open_window(
        tenant=place.tenant if place is not None else tenants[0],
        device=device,
        site=site,
        from_at=said["from_at"] or timezone.now(),
        until=said["until"],
        reason=said["reason"],
        by=request.user,
    )


def _answer(
    request: ConsoleRequest, form: WindowForm, *, is_open: bool
) -> HttpResponse:
    now = timezone.now()
    every = list_windows(tenants=request.scope.tenants)
    found = page_of(request, every)
    for row in found.rows:
        row.standing = _standing(row, now)
        row.is_endable = row.until > now and request.scope.may(
            Right.OPERATE, row.tenant_id
        )
    in_force = every.filter(from_at__lte=now, until__gt=now).count()
    context = {
        "headline": _headline(in_force),
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


def _standing(window: MaintenanceWindow, now: datetime) -> str:
    if window.until <= now:
        return "over"
    return "to come" if window.from_at > now else "in force"


def _where(window: MaintenanceWindow) -> str:
    if window.device is not None:
        return window.device.uid
    return window.site.slug if window.site is not None else ""


def _headline(in_force: int) -> str:
    if not in_force:
        return "Nobody works at a device now"
    places = "1 place" if in_force == 1 else f"{in_force:,} places"
    return f"Work is going on at {places}"
