"""Command definitions: the built-in ones, and the tenants' own to create and change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from commands.definitions import DEFINITIONS
from commands.exceptions import DefinitionRefused
from commands.selectors.definitions import (
    get_definition_by_id,
    list_definitions,
)
from commands.services.definitions import (
    change_definition,
    create_definition,
    delete_definition,
)
from console.forms.definitions import DefinitionForm
from console.paging import page_of
from console.scope import ConsoleRequest, NotAllowed, page
from iotplatform.common.problems import BadInput
from registry.permissions import Right
from registry.selectors.products import list_products

if TYPE_CHECKING:
    from commands.models import CommandDefinition
    from registry.models import Tenant


@page
def definitions(request: ConsoleRequest) -> HttpResponse:
    """The shown tenants' own commands, the newest first, then the built-in ones."""
    found = page_of(request, list_definitions(tenants=request.scope.tenants))
    context = {
        "own": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "built_in": DEFINITIONS.values(),
        "may_write": any(_may_manage(request, row) for row in request.scope.tenants),
    }
    return render(request, "console/definitions/list.html", context)


@page
def new_definition(request: ConsoleRequest) -> HttpResponse:
    """Define a command for all products of a tenant, or for one."""
    tenants = [row for row in request.scope.tenants if _may_manage(request, row)]
    if not tenants:
        raise _refusal(request, request.scope.tenants)
    products = list_products(tenants=tenants).order_by("tenant__slug", "slug")
    form = DefinitionForm(
        request.POST or None, tenants=tenants, products=list(products), is_fixed=False
    )
    if request.method != "POST" or not form.is_valid():
        return _answer(request, form)
    tenant, product = form.chosen()
    try:
        row = create_definition(tenant=tenant, product=product, **form.fields_to_save())
    except (BadInput, DefinitionRefused) as error:
        form.add_refusals(error.errors)
        return _answer(request, form)
    messages.success(request, f"The command “{row.name}” is defined.")
    return redirect("console:definitions")


@page
def definition(request: ConsoleRequest, definition_id: UUID) -> HttpResponse:
    """One definition: show it, change it. What was asked for before keeps the old."""
    tenants = request.scope.all_tenants
    row = get_definition_by_id(tenants=tenants, definition_id=definition_id)
    may_manage = _may_manage(request, row.tenant)
    if request.method == "POST" and not may_manage:
        raise _refusal(request, [row.tenant])
    names = (*DefinitionForm.base_fields,)
    initial = {name: getattr(row, name) for name in names if name != "place"}
    form = DefinitionForm(request.POST or None, initial=initial, is_fixed=True)
    context: dict[str, Any] = {"definition": row, "may_manage": may_manage}
    if request.method != "POST" or not form.is_valid():
        return _answer(request, form, **context)
    try:
        change_definition(row, **form.fields_to_save())
    except (BadInput, DefinitionRefused) as error:
        form.add_refusals(error.errors)
        return _answer(request, form, **context)
    name = form.cleaned_data["name"]
    messages.success(request, f"The command “{name}” is changed.")
    return redirect("console:definitions")


@require_POST
@page
def delete(request: ConsoleRequest, definition_id: UUID) -> HttpResponse:
    """Delete a definition; commands and jobs that were asked for go on."""
    tenants = request.scope.all_tenants
    row = get_definition_by_id(tenants=tenants, definition_id=definition_id)
    if not _may_manage(request, row.tenant):
        raise _refusal(request, [row.tenant])
    delete_definition(row)
    messages.success(request, f"The command “{row.name}” is deleted.")
    return redirect("console:definitions")


def _refusal(request: ConsoleRequest, tenants: list[Tenant]) -> NotAllowed:
    what = "You need the right to manage a whole tenant."
    return request.scope.refusal(Right.MANAGE, tenants, what=what)


def _may_manage(request: ConsoleRequest, tenant: Tenant) -> bool:
    """A definition is for all devices, so a member with a limit may not change it."""
    return tenant.limit is None and request.scope.may(Right.MANAGE, tenant.pk)


def _answer(
    request: ConsoleRequest,
    form: DefinitionForm,
    *,
    definition: CommandDefinition | None = None,
    may_manage: bool = True,
) -> HttpResponse:
    context: dict[str, Any] = {
        "form": form,
        "definition": definition,
        "may_manage": may_manage,
    }
    status = 422 if form.errors else 200
    return render(
        request, "console/definitions/definition.html", context, status=status
    )
