"""Incidents: the list, one incident, and what people do about it."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.choices import IncidentCause, IncidentStatus
from console.forms.incidents import SNOOZES, read_person, read_target
from console.paging import page_of
from console.presenters.diagnosis import present_diagnosis
from console.presenters.incidents import show_incident
from console.presenters.open_counts import forget_open_counts
from console.presenters.search_results import fleet_url
from console.presenters.undo import offer_undo
from console.scope import ConsoleRequest, page
from console.selectors.incidents import (
    get_incident,
    list_incidents,
    list_open_incidents,
    rank_incidents,
    urgency_of,
)
from console.services.incidents.actions import (
    acknowledge_incident,
    assign_incident,
    claim_incident,
    merge_incident,
    note_incident,
    release_incident,
    reopen_incident,
    resolve_incident,
    snooze_incident,
)
from iotplatform.common.counts import counted
from iotplatform.common.problems import Problem
from registry.permissions import Right
from state.choices import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.models import Incident

SHOWS = {"": "Open", "mine": "Mine", "snoozed": "Snoozed", "resolved": "Resolved"}
PLAIN: dict[str, Callable[..., Incident]] = {
    "claim": claim_incident,
    "release": release_incident,
    "acknowledge": acknowledge_incident,
    "reopen": reopen_incident,
}
DONE = {
    "claim": "is yours",
    "release": "is free again",
    "acknowledge": "is acknowledged",
    "assign": "is assigned",
    "snooze": "is snoozed",
    "note": "has a new note",
    "resolve": "is resolved",
    "reopen": "is open again",
    "merge": "is merged",
}
MOST_TARGETS = 50  # of a merge


@page
def incidents(request: ConsoleRequest) -> HttpResponse:
    """Incidents of the tenants in view: open ones by urgency, resolved by time."""
    shown = request.GET.get("show", "")
    shown = shown if shown in SHOWS else ""
    tenants = request.scope.tenants
    if shown == "resolved":
        every = list_incidents(tenants=tenants)
        rows: Any = _narrowed(request, every.filter(status=IncidentStatus.RESOLVED))
        found = page_of(request, rows)
    else:
        view = shown or "all"
        rows = list_open_incidents(tenants=tenants, view=view, user=request.user)
        ranked = rank_incidents(_narrowed(request, rows), now=timezone.now())
        found = page_of(request, ranked, rank="rank")
    count = list_open_incidents(tenants=tenants).count()
    context = {
        "headline": counted(count, "open incident") if count else "No open incidents",
        "incidents": [with_urgency(request, row) for row in found.rows],
        "next_url": found.next_url,
        "first_url": found.first_url,
        "shows": [
            {"label": label, "url": f"?show={name}", "is_here": name == shown}
            for name, label in SHOWS.items()
        ],
        "causes": IncidentCause.choices,
        "severities": Severity.choices,
        "shown": shown,
        "asked": request.GET,
    }
    return render(request, "console/incidents/list.html", context)


@page
def incident(request: ConsoleRequest, incident_id: UUID) -> HttpResponse:
    """One incident: why, what was changed before, what to do, what happened."""
    row = get_incident(tenants=request.scope.all_tenants, public_id=incident_id)
    shown = show_incident(row)
    may_operate = request.scope.may(Right.OPERATE, row.tenant_id)
    others = list_open_incidents(tenants=[row.tenant]).exclude(pk=row.pk)
    targets = others.order_by("-pk")[:MOST_TARGETS] if may_operate else []
    context = {
        "incident": with_urgency(request, row),
        "shown": shown,
        "events": list(reversed(shown.events)),
        "diagnosis": present_diagnosis(shown.diagnosis),
        "fleet_url": fleet_url(q=shown.devices.query) if shown.devices.query else "",
        "may_operate": may_operate,
        "targets": targets,
        "snoozes": SNOOZES,
    }
    return render(request, "console/incidents/page.html", context)


@require_POST
@page
def act(request: ConsoleRequest, incident_id: UUID, action: str) -> HttpResponse:
    """Do something about an incident; somebody else may have been first."""
    row = get_incident(tenants=request.scope.all_tenants, public_id=incident_id)
    request.scope.require(Right.OPERATE, row.tenant_id)
    if action not in DONE:
        raise Http404(f"There is no action {action}.")
    from_queue = "from_queue" in request.POST
    try:
        done = _service(request, row, action)(row, by=request.user)
        text = f"#{row.number} {DONE[action]}."
        if not (from_queue and offer_undo(request, done, text=text)):
            messages.success(request, text)
    except Problem as error:
        told = [each["message"] for each in error.errors] or [error.detail]
        messages.error(request, f"#{row.number}: {' '.join(told)}")
    forget_open_counts(request.scope)
    if from_queue:
        return redirect("console:queue")
    return redirect("console:incident", row.public_id)


def _service(
    request: ConsoleRequest, row: Incident, action: str
) -> Callable[..., Incident]:
    """Return what is asked for with its values; raises BadInput."""
    if action in PLAIN:
        return PLAIN[action]
    given = request.POST
    text = given.get("text", "").strip()[:4_000]
    if action == "note":
        return partial(note_incident, text=text)
    if action == "resolve":
        cause = given.get("cause", "").strip()[:200]
        return partial(resolve_incident, cause=cause, text=text)
    if action == "assign":
        person = read_person(row.tenant, given.get("assignee", ""))
        return partial(assign_incident, to=person)
    if action == "merge":
        into = read_target(request.scope.all_tenants, given.get("into", ""))
        return partial(merge_incident, into=into)
    hours = SNOOZES.get(given.get("for", ""), ("", 4))[1]
    return partial(snooze_incident, until=timezone.now() + timedelta(hours=hours))


def with_urgency(request: ConsoleRequest, row: Incident) -> Any:
    """Add why it stands where it does, and whether the person may act on it."""
    shown: Any = row
    shown.score, shown.score_reasons = urgency_of(row, now=timezone.now())
    shown.may_operate = request.scope.may(Right.OPERATE, row.tenant_id)
    shown.url = reverse("console:incident", args=[row.public_id])
    return shown


def _narrowed(request: ConsoleRequest, rows: Any) -> Any:
    """Keep the chosen cause and severity; an unknown one narrows nothing."""
    cause, severity = request.GET.get("cause", ""), request.GET.get("severity", "")
    if cause in IncidentCause.values:
        rows = rows.filter(cause=cause)
    return rows.filter(severity=severity) if severity in Severity.values else rows
