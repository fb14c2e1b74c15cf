"""Alarms of devices and rules: the list, one alarm, and acknowledging it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.paging import PAGE_SIZE, page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.counts import counted
from iotplatform.common.ids import parse_uuid
from iotplatform.common.problems import Conflict
from registry.permissions import Right
from state.choices import OPEN_ALARMS, AlarmState, Severity
from state.selectors.alarms import (
    change_log_of,
    describe_flapping,
    find_alarms,
    get_alarm,
    list_alarms,
    rank_by_severity,
)
from state.services.alarms.ingest import acknowledge_alarm, acknowledge_alarms

if TYPE_CHECKING:
    from state.models import Alarm

FILTERS = {
    "": ("Open", tuple(OPEN_ALARMS)),
    "unseen": ("Not acknowledged", (AlarmState.RAISED,)),
    "flapping": ("Comes and goes", tuple(OPEN_ALARMS)),
    "cleared": ("Cleared", (AlarmState.CLEARED,)),
}

EMPTY_TITLES = {
    "": "Nothing to work on",
    "unseen": "Nothing to acknowledge",
    "flapping": "No alarm comes and goes",
    "cleared": "No alarm was cleared yet",
}


@page
def alarms(request: ConsoleRequest) -> HttpResponse:
    """Alarms of the tenants in view: the most severe first, cleared ones by time."""
    chosen = request.GET.get("show", "")
    _, states = FILTERS.get(chosen, FILTERS[""])
    every = list_alarms(tenants=request.scope.tenants)
    rows = every.filter(state__in=states)
    if chosen == "flapping":
        rows = rows.filter(flapping_since__isnull=False)
    severity = request.GET.get("severity", "")
    if severity in Severity.values:
        rows = rows.filter(severity=severity)
    rows = rows.select_related("device__site")
    if chosen == "cleared":  # a long history, which nobody works through
        found = page_of(request, rows)
    else:
        found = page_of(request, rank_by_severity(rows), rank="rank")
    rights = {row.pk for row in found.rows if _may_acknowledge(request, row)}
    counts = dict(
        every.filter(state__in=OPEN_ALARMS)
        .order_by()
        .values_list("state")
        .annotate(total=Count("pk"))
    )
    return render(
        request,
        "console/alarms/list.html",
        {
            "headline": _headline(
                counts.get(AlarmState.RAISED, 0), sum(counts.values())
            ),
            "alarms": [_with_label(row) for row in found.rows],
            "acknowledgeable": rights,
            "show": chosen,
            "next_url": found.next_url,
            "first_url": found.first_url,
            "filters": [
                {"label": text, "url": f"?show={name}", "is_on": name == chosen}
                for name, (text, _) in FILTERS.items()
            ],
            "empty_title": EMPTY_TITLES.get(chosen, EMPTY_TITLES[""]),
            "empty_text": "Devices report alarms, and alarm rules raise them from"
            " metrics. A device has at most one open alarm per code.",
        },
    )


@page
def alarm(request: ConsoleRequest, alarm_id: UUID) -> HttpResponse:
    """One alarm: its state, its cause and its history."""
    found = get_alarm(tenants=request.scope.all_tenants, alarm_id=alarm_id)
    context = {
        "alarm": _with_label(found),
        "history": change_log_of(found),
        "may_acknowledge": _may_acknowledge(request, found),
    }
    return render(request, "console/alarms/page.html", context)


@require_POST
@page
def acknowledge(request: ConsoleRequest, alarm_id: UUID) -> HttpResponse:
    """Acknowledge the alarm, then draw its row again.

    ``back`` returns to the page of the alarm instead.
    """
    alarm = get_alarm(tenants=request.scope.all_tenants, alarm_id=alarm_id)
    request.scope.require(Right.OPERATE, alarm.tenant_id)
    notice, status = "", 200
    try:
        alarm = acknowledge_alarm(alarm, by=request.user, at=timezone.now())
    except Conflict as error:
        notice, status = error.detail, 409
    if request.POST.get("back") == "alarm":
        if notice:
            messages.error(request, notice)
        return redirect("console:alarm", alarm.public_id)
    if not request.htmx:
        return redirect("console:alarms")
    rights = {alarm.pk} if _may_acknowledge(request, alarm) else set()
    context = {"alarm": _with_label(alarm), "acknowledgeable": rights, "notice": notice}
    return render(request, "console/alarms/_row.html", context, status=status)


@require_POST
@page
def acknowledge_many(request: ConsoleRequest) -> HttpResponse:
    """Acknowledge the ticked alarms, then return to the list that they were on."""
    texts = request.POST.getlist("alarm")
    ids = {given for text in texts if (given := parse_uuid(text)) is not None}
    shown = urlencode({"show": request.POST.get("show", "")})
    back = f"{reverse('console:alarms')}?{shown}"
    if not 1 <= len(ids) <= PAGE_SIZE:
        messages.error(request, f"Select 1 to {PAGE_SIZE} alarms to acknowledge.")
        return redirect(back)
    ticked = find_alarms(tenants=request.scope.all_tenants, ids=ids)
    for tenant_id in sorted({alarm.tenant_id for alarm in ticked}):
        request.scope.require(Right.OPERATE, tenant_id)
    done = acknowledge_alarms(ticked, by=request.user, at=timezone.now())
    were = "was" if done == 1 else "were"
    messages.success(request, f"{counted(done, 'alarm')} {were} acknowledged.")
    return redirect(back)


def _with_label(alarm: Alarm) -> Alarm:
    alarm.flapping_label = describe_flapping(alarm)  # type: ignore[attr-defined]
    return alarm


def _may_acknowledge(request: ConsoleRequest, alarm: Alarm) -> bool:
    is_raised = alarm.state == AlarmState.RAISED
    return is_raised and request.scope.may(Right.OPERATE, alarm.tenant_id)


def _headline(unacknowledged: int, still_open: int) -> str:
    if not still_open:
        return "No open alarms"
    if not unacknowledged:
        return "All open alarms are acknowledged"
    if unacknowledged == 1:
        return "1 alarm is not acknowledged"
    return f"{unacknowledged:,} alarms are not acknowledged"
