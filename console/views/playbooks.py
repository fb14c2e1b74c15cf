"""Playbooks: the list, the editor of steps, and the start of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.definitions import BUILT_IN
from console.forms.playbooks import FIRST_STEPS, PlaybookForm, RunForm, steps_text
from console.models import Playbook
from console.paging import page_of
from console.presenters.playbook_steps import present_steps
from console.scope import ConsoleRequest, page
from console.selectors.playbooks import (
    AnyPlaybook,
    get_playbook,
    list_playbooks,
    list_runs,
)
from console.services.playbooks.edit import (
    change_playbook,
    create_playbook,
    delete_playbook,
)
from console.services.playbooks.runs import RunRequest, start_run
from iotplatform.common.problems import Problem
from registry.permissions import Right
from registry.selectors.devices import get_device

if TYPE_CHECKING:
    from registry.models import Tenant

MOST_SHOWN = 200  # own playbooks on the page
RECENT_RUNS = 20


@page
def playbooks(request: ConsoleRequest) -> HttpResponse:
    """The built-in playbooks, the tenants' own, and the newest runs."""
    tenants = request.scope.tenants
    own = list(list_playbooks(tenants=tenants)[:MOST_SHOWN])
    found = page_of(request, list_runs(tenants=tenants), size=RECENT_RUNS)
    context = {
        "playbooks": own,
        "built_in": list(BUILT_IN.values()),
        "runs": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "may_write": any(_may(request, row) for row in tenants),
    }
    return render(request, "console/playbooks/list.html", context)


@page
def new_playbook(request: ConsoleRequest) -> HttpResponse:
    """Make a playbook, perhaps as a copy of another (``?from=``)."""
    tenant = request.scope.writable()[0]
    if request.method != "POST":
        initial = {"steps": steps_text(FIRST_STEPS)}
        if wanted := request.GET.get("from", ""):
            copied = get_playbook(tenants=request.scope.all_tenants, playbook_id=wanted)
            initial = {
                "name": f"Copy of {copied.name}"[:200],
                "description": copied.description,
                "steps": steps_text(copied.steps),
            }
        return _form_page(request, PlaybookForm(initial=initial))
    form = PlaybookForm(request.POST)
    if not form.is_valid():
        return _form_page(request, form)
    try:
        row = create_playbook(tenant=tenant, actor=request.user, **form.cleaned_data)
    except Problem as error:
        return _form_page(request, form, error=error)
    messages.success(request, f"The playbook “{row.name}” is saved.")
    return redirect("console:playbook", str(row.public_id))


@page
def playbook(request: ConsoleRequest, playbook_id: str) -> HttpResponse:
    """One playbook: its steps, the editor, and the form of a run."""
    found = get_playbook(tenants=request.scope.all_tenants, playbook_id=playbook_id)
    if request.method != "POST":
        return _playbook_page(request, found)
    row = _own(request, found)
    form = PlaybookForm(request.POST)
    if not form.is_valid():
        return _playbook_page(request, row, form=form)
    try:
        row = change_playbook(row, actor=request.user, **form.cleaned_data)
    except Problem as error:
        return _playbook_page(request, row, form=form, error=error)
    messages.success(request, f"Version {row.version} of “{row.name}” is saved.")
    return redirect("console:playbook", playbook_id)


@require_POST
@page
def delete(request: ConsoleRequest, playbook_id: str) -> HttpResponse:
    found = get_playbook(tenants=request.scope.all_tenants, playbook_id=playbook_id)
    row = _own(request, found)
    delete_playbook(row)
    messages.success(request, f"The playbook “{row.name}” is deleted.")
    return redirect("console:playbooks")


@require_POST
@page
def run(request: ConsoleRequest, playbook_id: str) -> HttpResponse:
    """Start a run: on one device (``device``), or on a query."""
    found = get_playbook(tenants=request.scope.all_tenants, playbook_id=playbook_id)
    uid = request.POST.get("device", "")
    if uid:
        device = get_device(tenants=request.scope.all_tenants, uid=uid)
        request.scope.require(Right.OPERATE, device.tenant_id)
        made = start_run(
            RunRequest(device.tenant, found, device=device), actor=request.user
        )
        return redirect("console:playbook-run", made.public_id)
    form = RunForm(request.POST)
    if not form.is_valid():
        return _playbook_page(request, found, run_form=form)
    tenant = found.tenant if isinstance(found, Playbook) else None
    tenant = tenant or request.scope.writable()[0]
    request.scope.require(Right.OPERATE, tenant.pk)
    try:
        made = start_run(
            RunRequest(tenant, found, **form.cleaned_data), actor=request.user
        )
    except Problem as error:
        text = " ".join(row["message"] for row in error.errors) or error.detail
        form.add_error("query", text)
        return _playbook_page(request, found, run_form=form)
    return redirect("console:playbook-run", made.public_id)


def _own(request: ConsoleRequest, found: AnyPlaybook) -> Playbook:
    if not isinstance(found, Playbook):
        raise request.scope.refusal(
            Right.OPERATE, what="A built-in playbook cannot be changed: copy it."
        )
    request.scope.require(Right.OPERATE, found.tenant_id)
    return found


def _may(request: ConsoleRequest, tenant: Tenant) -> bool:
    return request.scope.may(Right.OPERATE, tenant.pk)


def _playbook_page(
    request: ConsoleRequest,
    found: AnyPlaybook,
    *,
    form: PlaybookForm | None = None,
    run_form: RunForm | None = None,
    error: Problem | None = None,
) -> HttpResponse:
    own = isinstance(found, Playbook)
    where = [found.tenant] if isinstance(found, Playbook) else request.scope.tenants
    may_run = any(_may(request, tenant) for tenant in where)
    initial = {
        "name": found.name,
        "description": found.description,
        "steps": steps_text(found.steps),
    }
    context = {
        "playbook": found,
        "id": str(found.public_id) if isinstance(found, Playbook) else found.key,
        "is_own": own,
        "may_edit": own and may_run,
        "may_run": may_run,
        "lines": present_steps(found.steps),
        "run_form": run_form or RunForm(),
    }
    is_refused = bool(error or (form and form.errors) or (run_form and run_form.errors))
    form = form or PlaybookForm(initial=initial)
    return _form_page(
        request, form, error=error, status=422 if is_refused else 200, **context
    )


def _form_page(
    request: ConsoleRequest,
    form: PlaybookForm,
    *,
    error: Problem | None = None,
    status: int | None = None,
    **context: Any,
) -> HttpResponse:
    """Draw the editor; errors of steps name the step, as the API does."""
    if error is not None:
        for row in error.errors or [{"field": "", "message": error.detail}]:
            field = str(row["field"]).partition(".")[0]
            text = str(row["message"])
            if field == "steps" and row["field"] != "steps":
                text = f"{row['field']}: {text}"
            form.add_error(field if field in form.fields else None, text)
    context |= {"form": form, "is_open": bool(form.errors)}
    answer = status or (422 if form.errors else 200)
    return render(request, "console/playbooks/page.html", context, status=answer)
