"""Members of the tenants that a person administers: add, change, remove."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.forms.fields import errors_of, refuse
from console.forms.people import ROLES, MemberForm
from console.paging import page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput, NotFound, Problem
from registry.choices import Role
from registry.permissions import Right
from registry.selectors.people import (
    find_places,
    find_user_across_tenants,
    get_membership,
    list_memberships,
)
from registry.services.people import add_member, change_member, remove_member


@page
def members(request: ConsoleRequest) -> HttpResponse:
    """List the members with roles and limits; a POST adds one."""
    tenants = _administered(request)
    form = MemberForm(tenants, request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _answer(request, tenants, form)
    values, tenant = form.cleaned_data, form.tenant()
    try:
        user = find_user_across_tenants(values["user"])
        places = find_places(tenant=tenant, **form.places())
        add_member(tenant=tenant, user=user, role=values["role"], limited_to=places)
    except NotFound as error:
        form.add_error("user", error.detail)
        return _answer(request, tenants, form)
    except BadInput as error:
        refuse(form, errors_of(error))
        return _answer(request, tenants, form)
    messages.success(request, f"{user} is now a member of {tenant}.")
    return redirect("console:members")


@require_POST
@page
def change(request: ConsoleRequest, membership_id: UUID) -> HttpResponse:
    """Change the role and the limit of a member."""
    tenants = _administered(request, everywhere=True)
    row = get_membership(tenants=tenants, public_id=membership_id)
    try:
        places = find_places(tenant=row.tenant, **_slugs(request))
        change_member(row, role=_role(request), limited_to=places)
    except Problem as error:
        status = 409 if error.status == 409 else 422
        return _not_changed(request, tenants, row, error, status)
    messages.success(request, f"The membership of {row.user} is changed.")
    return redirect("console:members")


@require_POST
@page
def remove(request: ConsoleRequest, membership_id: UUID) -> HttpResponse:
    tenants = _administered(request, everywhere=True)
    row = get_membership(tenants=tenants, public_id=membership_id)
    try:
        remove_member(row)
    except Problem as error:
        return _not_changed(request, tenants, row, error, 409)
    messages.success(request, f"{row.user} is no longer a member of {row.tenant}.")
    return redirect("console:members")


def _administered(request: ConsoleRequest, *, everywhere: bool = False) -> list[Any]:
    scope = request.scope
    tenants = scope.all_tenants if everywhere else scope.tenants
    found = [row for row in tenants if scope.may(Right.ADMINISTER, row.pk)]
    if not found:
        raise scope.refusal(Right.ADMINISTER, tenants)
    return found


def _not_changed(
    request: ConsoleRequest, tenants: list[Any], row: Any, error: Problem, status: int
) -> HttpResponse:
    """Say above the list what was refused of one of its rows."""
    said = {"error": _error_text(error), "failed": row.user}
    return _answer(request, tenants, MemberForm(tenants, None), status=status, **said)


def _answer(
    request: ConsoleRequest,
    tenants: list[Any],
    form: MemberForm,
    *,
    status: int = 200,
    **said: Any,
) -> HttpResponse:
    found = page_of(request, list_memberships(tenants=tenants))
    for row in found.rows:
        limits = row.limits.all()
        row.projects = " ".join(limit.project.slug for limit in limits if limit.project)
        row.sites = " ".join(limit.site.slug for limit in limits if limit.site)
    context = {
        "members": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "roles": ROLES.items(),
        "tenants": tenants,
        "form": form,
        **said,
    }
    status = 422 if form.errors else status
    return render(request, "console/members/list.html", context, status=status)


def _role(request: ConsoleRequest) -> str:
    role = request.POST.get("role", "")
    if role not in Role.values:
        raise BadInput(role=f"Choose one of: {', '.join(Role.values)}.")
    return role


def _slugs(request: ConsoleRequest) -> dict[str, list[str]]:
    fields = ("projects", "sites")
    return {f: request.POST.get(f, "").replace(",", " ").split() for f in fields}


def _error_text(error: Problem) -> str:
    rows = [f"{row['field']}: {row['message']}" for row in error.errors]
    return "; ".join(rows) or error.detail
