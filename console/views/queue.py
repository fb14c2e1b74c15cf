"""The work queue: calls of cohorts, those for devices as one line a cohort."""

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
from fleet.exceptions import CallTaken
from fleet.selectors.calls import (
    calls_of_size,
    get_call,
    group_device_calls,
    list_calls,
    list_open_calls,
)
from fleet.selectors.cohorts import get_cohort
from fleet.services.calls import (
    claim_call,
    claim_device_calls,
    close_call,
    close_device_calls,
    release_call,
)
from iotplatform.common.counts import counted
from iotplatform.common.ids import parse_uuid
from iotplatform.common.instants import read_instant
from registry.permissions import Right

if TYPE_CHECKING:
    from collections.abc import Callable

    from fleet.models import CohortCall

SHOWN = 50  # lines of each kind
VIEWS = {"all": "All", "unassigned": "Unassigned", "mine": "Mine"}
ACTIONS: dict[str, Callable[..., CohortCall]] = {
    "claim": claim_call,
    "release": release_call,
    "close": close_call,
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
    for line in [*sizes, *(group.cohort for group in groups)]:
        line.may_operate = request.scope.may(Right.OPERATE, line.tenant_id)
    total = len(sizes) + len(groups)
    context = {
        "headline": counted(total, "open item") if total else "Nothing needs you now",
        "sizes": sizes,
        "groups": groups,
        "shown_until": shown_until.isoformat(),
        "views": [
            {"label": label, "url": f"?view={name}", "is_here": name == view}
            for name, label in VIEWS.items()
        ],
        "is_filtered": view != "all",
    }
    return render(request, "console/queue/list.html", context)


@require_POST
@page
def act(request: ConsoleRequest, item_id: UUID, action: str) -> HttpResponse:
    """Claim, release or close one item; somebody else may have been first."""
    call = get_call(tenants=request.scope.all_tenants, public_id=item_id)
    request.scope.require(Right.OPERATE, call.tenant_id)
    if action not in ACTIONS:
        raise Http404(f"There is no action {action}.")
    try:
        ACTIONS[action](call, by=request.user)
    except CallTaken as error:
        messages.error(request, f"{call.title}: {error.detail}")
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
    cohort = parse_uuid(request.POST.get("from_cohort", ""))
    if cohort is not None:
        return reverse("console:cohort-calls", args=[cohort])
    return reverse("console:queue")
