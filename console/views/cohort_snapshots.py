"""The snapshots of a cohort: list, take one, compare two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from console.paging import page_of
from console.scope import ConsoleRequest, page
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.selectors.cohorts import (
    difference_of,
    get_cohort,
    get_snapshot,
    list_snapshots,
)
from fleet.services.cohorts import take_snapshot
from iotplatform.common.counts import counted
from registry.permissions import Right

if TYPE_CHECKING:
    from fleet.models import Cohort

SHOWN = 200  # uids of each kind; the API returns all


@page
def snapshots(request: ConsoleRequest, cohort_id: UUID) -> HttpResponse:
    """The snapshots, the newest first, and the difference of two; a POST takes one."""
    row = get_cohort(tenants=request.scope.all_tenants, public_id=cohort_id)
    if request.method == "POST":
        request.scope.require(Right.OPERATE, row.tenant_id)
        return _take(request, row)
    return _answer(request, row)


def _take(request: ConsoleRequest, row: Cohort) -> HttpResponse:
    try:
        taken = take_snapshot(cohort=row, actor=request.user)
    except (QueryError, IndexUnavailable) as error:
        return _answer(request, row, error=error.detail, status=422)
    text = f"The snapshot has {counted(taken.size, 'device')}."
    messages.success(request, text)
    return redirect("console:cohort-snapshots", row.public_id)


def _answer(
    request: ConsoleRequest, row: Cohort, *, error: str = "", status: int = 200
) -> HttpResponse:
    rows = list_snapshots(tenants=[row.tenant]).filter(cohort=row)
    found = page_of(request, rows)
    context = {
        "cohort": row,
        "snapshots": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "error": error,
        "may_operate": request.scope.may(Right.OPERATE, row.tenant_id),
        "compared": _compared(request, row),
    }
    return render(request, "console/cohorts/snapshots.html", context, status=status)


def _compared(request: ConsoleRequest, row: Cohort) -> dict[str, Any] | None:
    """Return the difference of the two that are asked for; None for fewer."""
    asked = [request.GET.get(name, "") for name in ("from", "to")]
    if not all(asked):
        return None
    before, after = (get_snapshot(tenants=[row.tenant], public_id=pk) for pk in asked)
    found = difference_of(before, after)
    return {
        "before": before,
        "after": after,
        "kept": found.kept,
        "gone_count": len(found.gone),
        "added_count": len(found.added),
        "gone": found.gone[:SHOWN],
        "added": found.added[:SHOWN],
        "gone_more": max(len(found.gone) - SHOWN, 0),
        "added_more": max(len(found.added) - SHOWN, 0),
    }
