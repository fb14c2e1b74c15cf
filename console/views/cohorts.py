"""Cohorts: saved queries, their current size, and what their devices share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone

from console.paging import page_of
from console.presenters.cohort_sizes import build_size_chart
from console.presenters.diagnosis import diagnosis_of_set
from console.presenters.platform_status import note_platform_status
from console.presenters.search_results import device_rows, fleet_url
from console.presenters.shared_traits import shared_trait_rows
from console.scope import ConsoleRequest, page
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.query.clauses import Clause, field_clause, join_clauses, split_query
from fleet.selectors.calls import list_open_calls
from fleet.selectors.cohorts import get_cohort, list_cohorts, list_snapshots
from fleet.selectors.search import count, search
from fleet.selectors.traits import find_traits
from fleet.services.cohorts import save_cohort
from iotplatform.common.problems import BadInput, Conflict
from registry.permissions import Right

if TYPE_CHECKING:
    from fleet.selectors.lag import IndexStatus

FIGURES = (
    ("online now", "connectivity", "online", ""),
    ("offline", "connectivity", "offline", "bad"),
    ("unknown (stale)", "connectivity", "stale", "warn"),
    ("active", "lifecycle", "active", ""),
)

SNAPSHOTS_SHOWN = 4


@page
def cohorts(request: ConsoleRequest) -> HttpResponse:
    """The list of cohorts; a POST saves a query under a name."""
    if request.method == "POST":
        return _save(request)
    return _list(request)


@page
def cohort(request: ConsoleRequest, cohort_id: UUID) -> HttpResponse:
    row = get_cohort(tenants=request.scope.all_tenants, public_id=cohort_id)
    search_url = f"{reverse('console:fleet')}?{urlencode({'q': row.query})}"
    send_url = f"{reverse('console:new-job')}?{urlencode({'cohort': row.public_id})}"
    context: dict[str, Any] = {
        "cohort": row,
        "search_url": search_url,
        "send_url": send_url,
        "may_operate": request.scope.may(Right.OPERATE, row.tenant_id),
        "chart": build_size_chart(
            row, window=request.GET.get("window", ""), now=timezone.now()
        ),
        "open_calls": list_open_calls(tenants=[row.tenant]).filter(cohort=row).count(),
        "snapshots": _newest_snapshots(row),
    }
    try:
        context |= _now(row, note_platform_status(request))
    except QueryError as error:
        context["invalid"] = error.detail
    except IndexUnavailable as error:
        context["unavailable"] = error.detail
    return render(request, "console/cohorts/page.html", context)


def _newest_snapshots(row: Any) -> list[Any]:
    rows = list_snapshots(tenants=[row.tenant]).filter(cohort=row)
    return list(rows.order_by("-pk")[:SNAPSHOTS_SHOWN])


def _now(row: Any, status: IndexStatus) -> dict[str, Any]:
    tenants = [row.tenant]
    conditions = split_query(row.query)
    facets = ["connectivity", "lifecycle"]
    result = search(
        tenants=tenants, q=row.query, limit=10, facets=facets, status=status
    )
    shared = find_traits(tenants=tenants, q=row.query, status=status)
    counted = {
        (field, str(value["value"])): value["count"]
        for field, values in result.facets.items()
        for value in values
    }
    figures = [
        {
            "label": label,
            "kind": kind if counted.get((field, value)) else "",
            "value": counted.get((field, value), 0),
            "url": _search(conditions, field, value),
        }
        for label, field, value, kind in FIGURES
    ]
    return {
        "result": result,
        "fleet_total": shared.fleet_total,
        "figures": figures,
        "rows": device_rows(result),
        "diagnosis": diagnosis_of_set(
            tenants, row.query, total=result.total, status=status
        ),
        "traits": shared_trait_rows(shared, conditions),
    }


def _search(conditions: list[Clause], field: str, value: str) -> str:
    return fleet_url(q=join_clauses([*conditions, field_clause(field, value)]))


def _save(request: ConsoleRequest) -> HttpResponse:
    writable = request.scope.writable()
    slug = request.POST.get("tenant", "")
    chosen = [row for row in writable if row.slug == slug] if slug else writable
    if not chosen:
        raise Http404("You cannot save a cohort in this tenant.")
    if len(chosen) > 1:
        error = "Choose the tenant for the cohort."
        return _list(request, error=error, status=422, q=request.POST.get("q", ""))
    try:
        row = save_cohort(
            tenant=chosen[0],
            name=request.POST.get("name", "").strip(),
            query=request.POST.get("q", "").strip(),
            actor=request.user,
        )
    except (BadInput, Conflict) as error:
        text = "; ".join(entry["message"] for entry in error.errors) or error.detail
        return _list(request, error=text, status=422, q=request.POST.get("q", ""))
    messages.success(request, f"The cohort “{row.name}” is saved.")
    return redirect("console:cohort", row.public_id)


def _list(
    request: ConsoleRequest, *, error: str = "", status: int = 200, q: str = ""
) -> HttpResponse:
    found = page_of(request, list_cohorts(tenants=request.scope.tenants))
    unavailable = ""
    for row in found.rows:
        row.size = None
        try:
            row.size = count(tenants=[row.tenant], q=row.query)
        except QueryError as refused:
            # It may have been valid when it was saved: a product declared its key.
            row.problem = refused.detail
        except IndexUnavailable as absent:
            unavailable = absent.detail
    return render(
        request,
        "console/cohorts/list.html",
        {
            "headline": "Cohorts",
            "cohorts": found.rows,
            "next_url": found.next_url,
            "first_url": found.first_url,
            "error": error,
            "back_url": fleet_url(q=q) if q else "",
            "unavailable": unavailable,
        },
        status=status,
    )
