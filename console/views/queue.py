"""The work queue: attention items, and the calls of cohorts, one line a cohort."""

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

from console.paging import page_of
from console.scope import ConsoleRequest, page
from console.selectors.attention import (
    list_attention,
    list_open_attention,
    rank_by_urgency,
)
from console.selectors.work_items import WorkItem, get_work_item
from console.services.work_items import claim_item, close_item, release_item
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

SHOWN = 50  # lines of each kind
VIEWS = {"all": "All", "unassigned": "Unassigned", "mine": "Mine"}
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
    attention = list_open_attention(tenants=tenants, view=view, user=request.user)
    count = attention.count()
    items: list[Any] = list(rank_by_urgency(attention).order_by("rank", "-pk")[:SHOWN])
    _allow(request, [*items, *sizes, *(group.cohort for group in groups)])
    total = count + len(sizes) + len(groups)
    context = {
        "headline": counted(total, "open item") if total else "Nothing needs you now",
        "items": items,
        "hidden": count - len(items),
        "sizes": sizes,
        "groups": groups,
        "shown_until": shown_until.isoformat(),
        "views": _links("view", VIEWS, view),
        "is_filtered": view != "all",
    }
    return render(request, "console/queue/list.html", context)


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
    if action not in ACTIONS:
        raise Http404(f"There is no action {action}.")
    try:
        ACTIONS[action](item, by=request.user)
    except CallTaken as error:
        messages.error(request, f"{item.title}: {error.detail}")
    return redirect(_back(request))


@page
def cohort_calls(request: ConsoleRequest, cohort_id: UUID) -> HttpResponse:
    """The calls of a cohort, open and closed; a POST acts on those for devices."""
    row = get_cohort(tenants=request.scope.all_tenants, public_id=cohort_id)
    calls = list_calls(tenants=[row.tenant]).filter(cohort=row)
    if request.method == "POST":
        request.scope.require(Right.OPERATE, row.tenant_id)
        until = read_instant(request.POST.get("until", "")) or timezone.now()
        _act_on_all(request, row, calls, until)
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
