"""Change or delete a cohort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.forms.cohorts import CohortForm
from console.scope import ConsoleRequest, page
from fleet.selectors.cohorts import get_cohort
from fleet.services.cohorts import delete_cohort, edit_cohort
from iotplatform.common.problems import BadInput, Conflict
from registry.permissions import Right

if TYPE_CHECKING:
    from fleet.models import Cohort


@page
def change(request: ConsoleRequest, cohort_id: UUID) -> HttpResponse:
    """The form of a cohort; a POST changes it."""
    row = _cohort(request, cohort_id)
    form = CohortForm(request.POST or None, initial=_shown(row))
    if request.method == "POST" and form.is_valid():
        try:
            row = edit_cohort(cohort=row, **form.changes())
        except BadInput as error:
            form.refuse(error)
        else:
            messages.success(request, f"The cohort “{row.name}” is changed.")
            return redirect("console:cohort", row.public_id)
    status = 422 if form.errors else 200
    context = {"cohort": row, "form": form}
    return render(request, "console/cohorts/change.html", context, status=status)


@require_POST
@page
def delete(request: ConsoleRequest, cohort_id: UUID) -> HttpResponse:
    row = _cohort(request, cohort_id)
    try:
        delete_cohort(cohort=row)
    except Conflict as error:
        messages.error(request, error.detail)
        return redirect("console:cohort-change", row.public_id)
    messages.success(request, f"The cohort “{row.name}” is deleted.")
    return redirect("console:cohorts")


def _cohort(request: ConsoleRequest, cohort_id: UUID) -> Cohort:
    row = get_cohort(tenants=request.scope.all_tenants, public_id=cohort_id)
    request.scope.require(Right.OPERATE, row.tenant_id)
    return row


def _shown(row: Cohort) -> dict[str, Any]:
    return {
        "name": row.name,
        "q": row.query,
        "owner": row.owner.get_username() if row.owner else "",
        "description": row.description,
        "calls_at": row.calls_at,
        "calls_each": row.calls_each,
    }
