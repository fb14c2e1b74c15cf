"""Standing policies: their compliance, and making, changing and deleting them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.forms.policies import PolicyForm, shown_values
from console.paging import page_of
from console.scope import ConsoleRequest, page
from fleet.selectors.cohorts import list_cohorts
from fleet.selectors.policies import (
    compliance_of,
    get_policy,
    list_compliance,
    list_policies,
    report_of,
)
from fleet.services.policies import change_policy, create_policy, delete_policy
from iotplatform.common.problems import BadInput
from registry.permissions import Right

if TYPE_CHECKING:
    from fleet.models import StandingPolicy
    from registry.models import Tenant

MOST_COHORTS = 500  # in the list to choose from


@page
def policies(request: ConsoleRequest) -> HttpResponse:
    """The policies of the shown tenants, with how many devices have what they want."""
    found = page_of(request, list_policies(tenants=request.scope.tenants))
    whole = {row.pk for row in request.scope.all_tenants if row.limit is None}
    counts = compliance_of([row for row in found.rows if row.tenant_id in whole])
    for row in found.rows:
        row.compliance = counts.get(row.pk)
    context = {
        "policies": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "may_write": bool(_writable(request)),
    }
    return render(request, "console/policies/list.html", context)


@page
def new_policy(request: ConsoleRequest) -> HttpResponse:
    """The form of a new policy; a POST makes it."""
    tenant = _tenant(request)
    form = PolicyForm(_cohorts(tenant), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = create_policy(
                tenant=tenant,
                actor=request.user,
                changes=form.changes(),  # type: ignore[arg-type]
            )
        except BadInput as error:
            form.refuse(error)
        else:
            messages.success(request, f"The policy “{row.name}” is created.")
            return redirect("console:policy", row.public_id)
    context = {"form": form, "policy_tenant": tenant}
    status = 422 if form.errors else 200
    return render(request, "console/policies/new.html", context, status=status)


@page
def policy(request: ConsoleRequest, policy_id: UUID) -> HttpResponse:
    """A policy: its compliance, what stands against it, and its form."""
    row = get_policy(tenants=request.scope.all_tenants, public_id=policy_id)
    form = None
    if row.tenant in _writable(request):
        first = shown_values(row)
        first["desired"] = json.dumps(row.desired, indent=2) if row.desired else ""
        cohorts = _cohorts(row.tenant)
        form = PolicyForm(cohorts, request.POST or None, initial=first)
    if request.method == "POST":
        _require(request, row)
        assert form is not None
        if form.is_valid():
            try:
                change_policy(policy=row, changes=form.changes())  # type: ignore[arg-type]
            except BadInput as error:
                form.refuse(error)
            else:
                messages.success(request, f"The policy “{row.name}” is changed.")
                return redirect("console:policy", row.public_id)
    context = _shown(row) | {"policy": row, "form": form}
    status = 422 if form is not None and form.errors else 200
    return render(request, "console/policies/page.html", context, status=status)


@require_POST
@page
def delete(request: ConsoleRequest, policy_id: UUID) -> HttpResponse:
    row = get_policy(tenants=request.scope.all_tenants, public_id=policy_id)
    _require(request, row)
    delete_policy(policy=row)
    messages.success(request, f"The policy “{row.name}” is deleted.")
    return redirect("console:policies")


def _shown(row: StandingPolicy) -> dict[str, Any]:
    """Its counts are of the whole tenant, so a limited member sees none."""
    if row.tenant.limit is not None:
        return {"compliance": None}
    return {
        "compliance": compliance_of([row])[row.pk],
        "report": report_of(row),
        "history": list_compliance(row)[-50:],
    }


def _writable(request: ConsoleRequest) -> list[Tenant]:
    """Return the whole tenants where the person may do this."""
    scope = request.scope
    return [
        row
        for row in scope.all_tenants
        if row.limit is None and scope.may(Right.OPERATE, row.pk)
    ]


def _require(request: ConsoleRequest, row: StandingPolicy) -> None:
    if row.tenant not in _writable(request):
        raise request.scope.refusal(Right.OPERATE, [row.tenant])


def _tenant(request: ConsoleRequest) -> Tenant:
    """Return the shown tenant; where several are shown, the first of the person's."""
    mine = _writable(request)
    shown = [row for row in mine if row in request.scope.tenants]
    if not shown:
        raise request.scope.refusal(Right.OPERATE)
    return shown[0]


def _cohorts(tenant: Tenant) -> list[Any]:
    return list(list_cohorts(tenants=[tenant]).order_by("name")[:MOST_COHORTS])
