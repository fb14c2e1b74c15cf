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
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput
from registry.selectors.products import list_products

if TYPE_CHECKING:
    from commands.models import CommandDefinition


@page
def definitions(request: ConsoleRequest) -> HttpResponse:
    """The shown tenants' own commands, the newest first, then the built-in ones."""
    found = page_of(request, list_definitions(tenants=request.scope.tenants))
    context = {
        "own": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "built_in": DEFINITIONS.values(),
        "may_write": any(request.scope.manages(row) for row in request.scope.tenants),
    }
    return render(request, "console/definitions/list.html", context)


@page
def new_definition(request: ConsoleRequest) -> HttpResponse:
    """Define a command for all products of a tenant, or for one."""
    tenants = [row for row in request.scope.tenants if request.scope.manages(row)]
    if not tenants:
        raise request.scope.refusal_to_manage()
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
    may_manage = request.scope.manages(row.tenant)
    if request.method == "POST" and not may_manage:
        raise request.scope.refusal_to_manage([row.tenant])
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
    if not request.scope.manages(row.tenant):
        raise request.scope.refusal_to_manage([row.tenant])
    delete_definition(row)
    messages.success(request, f"The command “{row.name}” is deleted.")
    return redirect("console:definitions")


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
