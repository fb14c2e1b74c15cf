"""Edits of many devices: what to change, what it would do, what it did, its undoing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.forms.edits import EditForm, TypedCountForm
from console.paging import page_of
from console.presenters.labels import one_line
from console.presenters.search_results import fleet_url
from console.scope import ConsoleRequest, page
from fleet.choices import EditResult, EditStatus
from fleet.exceptions import CountMoved, IndexUnavailable, NothingToEdit
from fleet.file_responses import edit_file, read_format
from fleet.selectors.edits import get_edit, list_edits, outcome_of
from fleet.services.edits import EditRequest, preview, start_edit, undo_edit
from iotplatform.common.problems import BadInput, Conflict
from registry.choices import Lifecycle
from registry.permissions import Right

if TYPE_CHECKING:
    from fleet.models import FleetEdit
    from fleet.services.edits import EditPreview
    from registry.models import Tenant


@page
def edits(request: ConsoleRequest) -> HttpResponse:
    """The edits of the shown tenants, the newest first."""
    found = page_of(request, list_edits(tenants=request.scope.tenants))
    context = {
        "edits": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
    }
    return render(request, "console/edits/list.html", context)


@page
def new_edit(request: ConsoleRequest) -> HttpResponse:
    """The form for the devices of a query; then what it would do; then it is done."""
    data = request.POST if request.method == "POST" else request.GET
    query = data.get("q", "").strip()
    tenant = _tenant(request, data.get("tenant", ""))
    if not query:
        messages.error(request, "Search for the devices to edit first.")
        return redirect("console:fleet")
    form = EditForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "q": query, "edited_tenant": tenant}
    context["back_url"] = fleet_url(q=query)
    if request.method != "POST":
        return render(request, "console/edits/new.html", context)
    if not form.is_valid():
        return render(request, "console/edits/new.html", context, status=422)
    try:
        return _checked(request, tenant, query, form, context)
    except BadInput as error:
        form.refuse(error)
        status = 422
    except (NothingToEdit, IndexUnavailable) as error:
        form.add_error(None, error.detail)
        status = error.status
    return render(request, "console/edits/new.html", context, status=status)


@page
def edit(request: ConsoleRequest, edit_id: UUID) -> HttpResponse:
    row = get_edit(tenants=request.scope.all_tenants, public_id=edit_id)
    return render(request, "console/edits/page.html", _shown(request, row))


@page
def now(request: ConsoleRequest, edit_id: UUID) -> HttpResponse:
    """The part of the page that is polled while a worker works."""
    row = get_edit(tenants=request.scope.all_tenants, public_id=edit_id)
    return render(request, "console/edits/_edit.html", _shown(request, row))


@require_POST
@page
def undo(request: ConsoleRequest, edit_id: UUID) -> HttpResponse:
    """Restore what nobody changed since."""
    row = get_edit(tenants=request.scope.all_tenants, public_id=edit_id)
    request.scope.require(Right.MANAGE, row.tenant_id)
    try:
        undo_edit(row, tenant=row.tenant, actor=request.user)
    except Conflict as error:
        context = _shown(request, row) | {"notice": error.detail}
        return render(request, "console/edits/page.html", context, status=409)
    return redirect("console:edit", row.public_id)


@page
def file(request: ConsoleRequest, edit_id: UUID) -> HttpResponseBase:
    """The undo file."""
    row = get_edit(tenants=request.scope.all_tenants, public_id=edit_id)
    try:
        name = read_format(request.GET.get("format"))
    except BadInput:
        return redirect("console:edit", row.public_id)
    return edit_file(row, name)


def _checked(
    request: ConsoleRequest,
    tenant: Tenant,
    query: str,
    form: EditForm,
    context: dict[str, Any],
) -> HttpResponse:
    """Show what the edit would do, or do it once the number is typed."""
    reason = form.cleaned_data["reason"]
    wanted = EditRequest(tenant, query, form.changes(), reason)
    seen = preview(wanted)
    status = 200
    confirm = TypedCountForm(seen.count)
    if request.POST.get("step") == "apply":
        confirm = TypedCountForm(seen.count, request.POST)
        if confirm.is_valid():
            wanted = EditRequest(tenant, query, form.changes(), reason, seen.count)
            try:
                row = start_edit(wanted, actor=request.user)
            except CountMoved as error:
                messages.error(request, error.detail)
                status = 409
            else:
                return redirect("console:edit", row.public_id)
        status = 422 if status == 200 else status
    context |= {"seen": seen, "confirm": confirm, "left_out": _reasons(seen)}
    return render(request, "console/edits/new.html", context, status=status)


def _reasons(seen: EditPreview) -> list[dict[str, Any]]:
    rows = sorted(seen.left_out.items(), key=lambda pair: -len(pair[1]))
    return [
        {"reason": reason, "count": len(uids), "devices": uids[:5]}
        for reason, uids in rows[:20]
    ]


def _tenant(request: ConsoleRequest, slug: str) -> Tenant:
    """Return the named tenant, else the first one where the person may do this."""
    scope = request.scope
    mine = [row for row in scope.tenants if scope.may(Right.MANAGE, row.pk)]
    if not mine:
        raise scope.refusal(Right.MANAGE)
    return next((row for row in mine if row.slug == slug), mine[0])


def _changes(asked: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the edit changes as label and text."""
    tags, lifecycle = asked.get("tags", {}), asked.get("lifecycle", "")
    lines = [
        ("Tags to add", " ".join(tags.get("add", []))),
        ("Tags to remove", " ".join(tags.get("remove", []))),
        ("Site", asked.get("site", "")),
        ("Lifecycle", Lifecycle(lifecycle).label if lifecycle else ""),
    ]
    for key, value in asked.get("attributes", {}).items():
        lines.append(
            (f"Attribute {key}", "removed" if value is None else one_line(value))
        )
    return [(label, text) for label, text in lines if text]


def _shown(request: ConsoleRequest, row: FleetEdit) -> dict[str, Any]:
    outcome = outcome_of(row)
    may_manage = request.scope.may(Right.MANAGE, row.tenant_id)
    return {
        "edit": row,
        "changes": _changes(row.changes),
        "outcome": outcome,
        "changed": outcome.count_of(EditResult.CHANGED),
        "unchanged": outcome.count_of(EditResult.UNCHANGED),
        "pending": outcome.count_of(EditResult.PENDING),
        "skipped": sum(outcome.undone.values()) - outcome.restored,
        "is_open": row.status in (EditStatus.QUEUED, EditStatus.UNDOING),
        "may_undo": may_manage and row.status == EditStatus.DONE,
        "fleet_url": fleet_url(q=row.query),
    }
