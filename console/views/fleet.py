"""The fleet page: a query, the matching devices, facets, and shared traits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render

from console.presenters.diagnosis import diagnosis_of_set
from console.presenters.fleet_columns import (
    export_links,
    sort_choices,
    sorted_by,
    sorted_value,
    table_columns,
)
from console.presenters.platform_status import note_platform_status
from console.presenters.query_hints import find_query, has_bare_word, value_hints
from console.presenters.search_results import attribute_fields, device_rows, fleet_url
from console.presenters.shared_traits import shared_trait_rows
from console.scope import ConsoleRequest, page
from fleet.exceptions import BadCursor, IndexUnavailable, QueryError
from fleet.file_responses import export_response, read_format
from fleet.query.clauses import Clause, field_clause, join_clauses, split_query
from fleet.query.source import written_end
from fleet.selectors.exports import open_export
from fleet.selectors.search import SearchResult, search
from fleet.selectors.suggestions import Suggestions, suggest
from fleet.selectors.traits import find_traits, value_text
from iotplatform.common.problems import BadInput, NotFound
from registry.permissions import Right
from registry.selectors.devices import get_device

if TYPE_CHECKING:
    from registry.models import Tenant

PAGE_SIZE = 50
ANY_ORDER: dict[str, Any] = {"sort": None, "cursor": None, "facets": []}
FACETS = {
    "connectivity": "Connectivity",
    "firmware": "Firmware",
    "region": "Region",
    "site": "Site",
    "space": "Space",
    "product": "Product",
    "hardware_revision": "Hardware revision",
    "batch": "Batch",
    "lifecycle": "Lifecycle",
    "in_maintenance": "In maintenance",
}
SHOWN_VALUES = 8
YES_NO = {True: "yes", False: "no"}
EXAMPLES = (
    'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5',
    "connectivity:offline AND lifecycle:active",
    "firmware:<1.4.2",
    "last_activity:<now-3d",
    "connectivity:online AND oldest_unacked_at:<now-1d",
)


@page
def fleet(request: ConsoleRequest) -> HttpResponse:
    """Search the fleet; the URL holds the whole state of the page."""
    q = request.GET.get("q", "").strip() or "*"
    sort = request.GET.get("sort", "")
    context: dict[str, Any] = {"q": q, "sort": sort, "examples": EXAMPLES}
    try:
        context |= _found(request, q=q, sort=sort, cursor=request.GET.get("cursor"))
    except QueryError as error:
        context["error"] = _explained(error, q)
        return render(request, "console/fleet/page.html", context, status=400)
    except BadCursor:
        return redirect(fleet_url(q=q, sort=sort))
    except IndexUnavailable as error:
        context["detail"] = error.detail
        return render(request, "console/fleet/unavailable.html", context, status=503)
    return render(request, "console/fleet/page.html", context)


@page
def find(request: ConsoleRequest) -> HttpResponseRedirect:
    """Open the only device with this uid, serial, name or site, else list them."""
    text = request.GET.get("text", "").strip()
    if not text:
        return redirect("console:fleet")
    tenants = request.scope.all_tenants
    try:
        return redirect("console:device", get_device(tenants=tenants, uid=text).uid)
    except NotFound:
        q = find_query(text)
    try:
        found = search(tenants=request.scope.tenants, q=q, limit=1, **ANY_ORDER)
    except (QueryError, IndexUnavailable):
        return redirect(fleet_url(q=q))  # the page says what is wrong
    if found.total == 1:
        return redirect("console:device", found.results[0]["uid"])
    return redirect(fleet_url(q=q))


@page
def export(request: ConsoleRequest) -> HttpResponseBase:
    """Stream the devices that match as a file; the page explains a wrong query."""
    q, fields = request.GET.get("q", "*"), request.GET.get("fields", "")
    try:
        name = read_format(request.GET.get("format"))
        found = open_export(
            tenants=request.scope.tenants,
            q=q,
            fields=fields.split(",") if fields else [],
        )
    except (BadInput, IndexUnavailable):
        return redirect(fleet_url(q=q))
    return export_response(found, name)


@page
def completions(request: ConsoleRequest) -> HttpResponse:
    """Draw what may be typed at a position of the query; nothing without an index."""
    q, at = request.GET.get("q", ""), request.GET.get("at", "")
    place = int(at) if at.isascii() and at.isdigit() and len(at) < 6 else len(q)
    try:
        found = suggest(tenants=request.scope.tenants, q=q, at=min(place, len(q)))
    except IndexUnavailable:
        found = Suggestions(0, 0, [])
    return render(request, "console/fleet/_completions.html", {"found": found})


def _found(
    request: ConsoleRequest, *, q: str, sort: str, cursor: str | None
) -> dict[str, Any]:
    """Return all that the page shows of a search result."""
    tenants = request.scope.tenants
    attributes = attribute_fields(tenants)
    status = note_platform_status(request)
    started = perf_counter()
    result = search(
        tenants=tenants,
        q=q,
        sort=sort or None,
        cursor=cursor,
        limit=PAGE_SIZE,
        facets=[*FACETS, *attributes],
        status=status,
    )
    took_ms = round((perf_counter() - started) * 1000) or 1
    shared = find_traits(tenants=tenants, q=q, status=status)
    conditions = split_query(q)
    rows = device_rows(result, names_tenant=len(tenants) > 1)
    for row, document in zip(rows, result.results, strict=True):
        row["sorted_value"] = sorted_value(document, sort)
    shows_risk = any(row["risk"] is not None for row in rows)
    columns = table_columns(q, sort, shows_risk=shows_risk)
    writable = [
        tenant for tenant in tenants if request.scope.may(Right.OPERATE, tenant.pk)
    ]
    return {
        "result": result,
        "took_ms": took_ms,
        "fleet_total": shared.fleet_total,
        "rows": rows,
        "shows_risk": shows_risk,
        "columns": columns,
        "sorted_by": sorted_by(sort),
        "sorted_is_number": columns[-1]["is_number"],
        "order": sort_choices(q, sort),
        "exports": export_links(
            q, sort, shows_risk=shows_risk, names_tenant=len(tenants) > 1
        ),
        "facets": [
            _facet(name, label, result, conditions, sort)
            for name, label in (FACETS | attributes).items()
        ],
        "conditions": _conditions(conditions, sort),
        "hints": _hints(tenants, conditions, sort, attributes),
        "diagnosis": diagnosis_of_set(tenants, q, total=result.total, status=status)
        if q != "*"
        else None,
        "traits": shared_trait_rows(shared, conditions, sort),
        "may_operate": bool(writable),
        "may_manage": any(request.scope.may(Right.MANAGE, t.pk) for t in tenants),
        "writable_tenants": writable,
        "is_later_page": bool(cursor),
        "first_url": fleet_url(q=q, sort=sort),
        "next_url": fleet_url(q=q, sort=sort, cursor=result.next_cursor)
        if result.next_cursor
        else None,
    }


def _hints(
    tenants: Sequence[Tenant],
    conditions: list[Clause],
    sort: str,
    attributes: Iterable[str],
) -> list[dict[str, str]]:
    """Queries in which a bare word is the value that it is in some field."""
    if not has_bare_word(conditions):
        return []  # nothing to look up in the whole fleet
    facets = [*FACETS, "cause", *attributes]
    whole = search(tenants=tenants, q="*", limit=1, facets=facets)
    return [
        {"text": hint, "url": fleet_url(q=hint, sort=sort)}
        for hint in value_hints(conditions, whole.facets)
    ]


def _facet(
    name: str,
    label: str,
    result: SearchResult,
    conditions: list[Clause],
    sort: str,
) -> dict[str, Any]:
    counted = [row for row in result.facets.get(name, []) if row["value"] != ""]
    values = []
    for row in counted[:SHOWN_VALUES]:
        text = value_text(row["value"])
        extra = field_clause(name, text)
        is_on = extra in conditions
        changed = [clause for clause in conditions if clause != extra]
        if not is_on:
            changed.append(extra)
        values.append(
            {
                "text": YES_NO[row["value"]]
                if isinstance(row["value"], bool)
                else text,
                "count": row["count"],
                "width": f"{100 * row['count'] / max(result.total, 1):.1f}%",
                "url": fleet_url(q=join_clauses(changed), sort=sort),
                "is_on": is_on,
            }
        )
    more = len(counted) - len(values)
    return {"label": label, "values": values, "more": max(more, 0)}


def _conditions(conditions: list[Clause], sort: str) -> list[dict[str, str]]:
    """The conditions of the query, each with a link that removes it."""
    return [
        {
            "text": removed.text,
            "url": fleet_url(
                q=join_clauses(row for row in conditions if row != removed), sort=sort
            ),
        }
        for removed in conditions
    ]


def _explained(error: QueryError, q: str) -> dict[str, Any]:
    """The error with its position, and the query that was probably meant."""
    explained: dict[str, Any] = {
        "message": error.message,
        "query": q,
        "pointer": " " * max(error.position, 0),
        "suggestion": error.did_you_mean,
    }
    if error.did_you_mean:
        end = written_end(q, error.position)
        meant = f"{q[: error.position]}{error.did_you_mean}{q[end:]}"
        explained["suggestion"] = meant
        explained["suggestion_url"] = fleet_url(q=meant)
    return explained
