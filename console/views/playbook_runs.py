"""The page of a run: each step with its counts, each device with its results."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.choices import RunStatus
from console.models import PlaybookRun
from console.presenters.playbook_steps import CHIPS, present_steps
from console.scope import ConsoleRequest, page
from console.selectors.playbooks import (
    count_steps,
    get_run,
    list_run_devices,
    steps_of,
)
from console.services.playbooks.runs import (
    answer_step,
    retry_step,
    skip_step,
    stop_run,
)
from iotplatform.common.problems import Problem
from registry.permissions import Right

DEVICES_PER_PAGE = 50


@page
def run(request: ConsoleRequest, run_id: UUID) -> HttpResponse:
    found = get_run(tenants=request.scope.all_tenants, public_id=run_id)
    context = _context(request, found)
    return render(request, "console/playbook_runs/page.html", context)


@page
def progress(request: ConsoleRequest, run_id: UUID) -> HttpResponse:
    """The part of the page that is polled."""
    found = get_run(tenants=request.scope.all_tenants, public_id=run_id)
    context = _context(request, found)
    return render(request, "console/playbook_runs/_progress.html", context)


@require_POST
@page
def act(request: ConsoleRequest, run_id: UUID, action: str) -> HttpResponse:
    """Stop the run, or answer, skip or retry one of its steps."""
    found = get_run(tenants=request.scope.all_tenants, public_id=run_id)
    request.scope.require(Right.OPERATE, found.tenant_id)
    number = request.POST.get("step", "")
    step = int(number) if number.isascii() and number.isdigit() else 0
    by = request.user
    try:
        if action == "stop":
            stop_run(found, by=by)
        elif action == "answer":
            answer_step(found, step, request.POST.get("answer", ""), by=by)
        elif action == "skip":
            skip_step(found, step, by=by)
        elif action == "retry":
            retry_step(found, step, by=by)
        else:
            raise Http404(f"There is no action {action}.")
    except Problem as error:
        text = " ".join(row["message"] for row in error.errors) or error.detail
        messages.error(request, text)
    return redirect("console:playbook-run", run_id)


def _context(request: ConsoleRequest, found: PlaybookRun) -> dict[str, Any]:
    after = request.GET.get("after", "").replace("\0", "")
    rows = list_run_devices(found)
    if after:
        rows = rows.filter(uid__gt=after)
    members = list(rows[: DEVICES_PER_PAGE + 1])
    shown = members[:DEVICES_PER_PAGE]
    steps = steps_of(found, shown)
    is_over = found.status != RunStatus.RUNNING
    return {
        "run": found,
        "lines": present_steps(found.steps, count_steps(found)),
        "devices": [
            {"uid": each.uid, "steps": [_drawn(s) for s in steps[each.pk]]}
            for each in shown
        ],
        "is_over": is_over,
        "may_operate": request.scope.may(Right.OPERATE, found.tenant_id),
        "next_url": f"?after={shown[-1].uid}" if len(members) > len(shown) else None,
        "first_url": "?" if after else None,
    }


def _drawn(step: dict[str, Any]) -> dict[str, Any]:
    """Return a step of a device with its chip and its result in words."""
    result = step["result"] or {}
    words = [
        str(result[name])
        for name in ("answer", "error", "failure_class", "status")
        if result.get(name)
    ]
    if "matches" in result:
        words.append("matches" if result["matches"] else "does not match")
    return {
        **step,
        "chip": CHIPS[step["status"]],
        "words": ", ".join(words).replace("_", " "),
        "command": result.get("command"),
    }
