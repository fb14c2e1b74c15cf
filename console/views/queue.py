"""The work queue: incidents, attention items, calls of cohorts (a line a cohort)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.exceptions import IncidentTaken
from console.paging import first_of, page_of
from console.presenters.open_counts import forget_open_counts
from console.presenters.undo import take_offer
from console.scope import ConsoleRequest, page
from console.selectors.attention import (
    list_attention,
    list_open_attention,
    rank_by_urgency,
)
from console.selectors.incidents import list_open_incidents, rank_incidents
from console.selectors.work_items import WorkItem, get_work_item
from console.services.incidents.undo import undo_action
from console.services.work_items import claim_item, close_item, release_item
from console.views.incidents import with_urgency
from fleet.exceptions import CallTaken
from fleet.selectors.calls import (
    calls_of_size,
    group_device_calls,
    list_calls,
    list_open_calls,
)
from fleet.selectors.cohorts import get_cohort
from fleet.services.calls import claim_device_calls, close_device_calls
from iotplatform.common.counts import counted
from iotplatform.common.ids import parse_uuid
from iotplatform.common.instants import read_instant
from registry.permissions import Right

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.models import Incident

SHOWN = 50  # lines of each kind
VIEWS = {
    "all": "All",
    "unassigned": "Unassigned",
    "mine": "Mine",
    "snoozed": "Snoozed",
}
SHOWS = {"": "Open", "closed": "Closed"}
ACTIONS: dict[str, Callable[..., WorkItem]] = {
    "claim": claim_item,
    "release": release_item,
    "close": close_item,
}


@page
def queue(request: ConsoleRequest) -> HttpResponse:
    """What needs a person now."""
    view = request.GET.get("view", "all")
    view = view if view in VIEWS else "all"
    tenants = request.scope.tenants
    # A call that comes while the page is made may be on it, but is closed by nobody.
    shown_until = timezone.now()
    rows: Any = list_open_calls(tenants=tenants, view=view, user=request.user)
    sizes: list[Any] = list(calls_of_size(rows)[:SHOWN])
    groups = group_device_calls(rows, user=request.user, most=SHOWN)
    whose: Any = {"tenants": tenants, "view": view, "user": request.user}
    items, count = _first(rank_by_urgency(list_open_attention(**whose)))
    found, more = _first(rank_incidents(list_open_incidents(**whose), now=shown_until))
    troubles = [with_urgency(request, row) for row in found]
    count += more
    _allow(request, [*items, *sizes, *(group.cohort for group in groups)])
    total = count + len(sizes) + len(groups)
    context = {
        "headline": counted(total, "open item") if total else "Nothing needs you now",
        # The most urgent first, whichever they are.
        "lines": sorted([*troubles, *items], key=lambda line: line.rank),
        "hidden": count - len(items) - len(troubles),
        "sizes": sizes,
        "groups": groups,
        "shown_until": shown_until.isoformat(),
        "views": _links("view", VIEWS, view),
        "is_filtered": view != "all",
        "undo": take_offer(request),
    }
    return render(request, "console/queue/list.html", context)


def _first(ranked: Any) -> tuple[list[Any], int]:
    """Return the most urgent rows, and how many there are in all."""
    rows = first_of(ranked, ["rank", "-pk"], SHOWN)
    return rows, len(rows) if len(rows) < SHOWN else ranked.count()


@page
def attention(request: ConsoleRequest) -> HttpResponse:
    """Every command, job and approval that needs a person, or needed one."""
    shown = request.GET.get("show", "")
    shown = shown if shown in SHOWS else ""
    rows = list_attention(tenants=request.scope.tenants)
    still_open = rows.filter(closed_at=None)
    if shown == "closed":
        found = page_of(request, rows.exclude(closed_at=None))
    else:
        found = page_of(request, rank_by_urgency(still_open), rank="rank")
    _allow(request, found.rows)
    count = still_open.count()
    context = {
        "headline": f"{counted(count, 'item')} open" if count else "No open items",
        "items": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "shows": _links("show", SHOWS, shown),
        "shown": shown,
    }
    return render(request, "console/queue/attention.html", context)


@require_POST
@page
def act(request: ConsoleRequest, item_id: UUID, action: str) -> HttpResponse:
    """Claim, release or close one item; somebody else may have been first."""
    item = get_work_item(tenants=request.scope.all_tenants, public_id=item_id)
    request.scope.require(Right.OPERATE, item.tenant.pk)
    if action == "undo" and item.incident is not None:
        return _undo(request, item.incident)
    if action not in ACTIONS:
        raise Http404(f"There is no action {action}.")
    try:
        ACTIONS[action](item, by=request.user)
    except (CallTaken, IncidentTaken) as error:
        messages.error(request, f"{item.title}: {error.detail}")
    forget_open_counts(request.scope)
    return redirect(_back(request))


def _undo(request: ConsoleRequest, row: Incident) -> HttpResponse:
    """Take back what the person has just done; 409 says who has acted since."""
    try:
        undo_action(row, by=request.user, event_id=request.POST.get("event", ""))
    except IncidentTaken as error:
        messages.error(request, f"#{row.number}: {error.detail}")
        answer: HttpResponse = queue(request)
        answer.status_code = 409
        return answer
    messages.success(request, f"#{row.number} is as before.")
    forget_open_counts(request.scope)
    return redirect("console:queue")


@page
def cohort_calls(request: ConsoleRequest, cohort_id: UUID) -> HttpResponse:
    """The calls of a cohort, open and closed; a POST acts on those for devices."""
    row = get_cohort(tenants=request.scope.all_tenants, public_id=cohort_id)
    calls = list_calls(tenants=[row.tenant]).filter(cohort=row)
    if request.method == "POST":
        request.scope.require(Right.OPERATE, row.tenant_id)
        until = read_instant(request.POST.get("until", "")) or timezone.now()
        _act_on_all(request, row, calls, until)
        forget_open_counts(request.scope)
        return redirect(_back(request))
    found = page_of(request, calls)
    context = {
        "cohort": row,
        "calls": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "open_count": calls.filter(closed_at=None).count(),
        "may_operate": request.scope.may(Right.OPERATE, row.tenant_id),
        "here": request.path,
    }
    return render(request, "console/queue/cohort.html", context)


def _act_on_all(request: ConsoleRequest, row: Any, calls: Any, until: datetime) -> None:
    act_on = {"claim": claim_device_calls, "close": close_device_calls}
    action = request.POST.get("action", "")
    if action not in act_on:
        raise Http404(f"There is no action {action}.")
    done = act_on[action](row, calls, by=request.user, until=until)
    verb = "claimed" if action == "claim" else "closed"
    messages.success(request, f"{counted(done, 'item')} of “{row.name}” {verb}.")


def _back(request: ConsoleRequest) -> str:
    """Return the page that the form was on; only pages of ours are named."""
    if request.POST.get("from_attention"):
        return reverse("console:attention")
    cohort = parse_uuid(request.POST.get("from_cohort", ""))
    if cohort is not None:
        return reverse("console:cohort-calls", args=[cohort])
    return reverse("console:queue")


def _allow(request: ConsoleRequest, lines: list[Any]) -> None:
    """Say on each line whether the person may act on it."""
    for line in lines:
        line.may_operate = request.scope.may(Right.OPERATE, line.tenant_id)


def _links(name: str, labels: dict[str, str], here: str) -> list[dict[str, Any]]:
    return [
        {"label": label, "url": f"?{name}={value}", "is_here": value == here}
        for value, label in labels.items()
    ]
