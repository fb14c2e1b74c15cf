"""The list of commands, one command, and the actions on it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import conditional_page, require_POST

from commands.choices import CommandStatus
from commands.exceptions import CommandRefused, TransitionRefused
from commands.lifecycle import UNDERWAY, UNSENT, VERDICTS
from commands.selectors.commands import (
    get_command,
    list_attempts,
    list_commands,
    list_events,
)
from commands.selectors.definitions import list_command_names
from commands.selectors.files import files_of
from commands.services.actions import (
    cancel_command,
    escalate_command,
    retry_command,
)
from commands.services.approvals import approve_command
from console.paging import page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import Forbidden
from registry.permissions import Right

S = CommandStatus
ACTIONS = {
    "approve": approve_command,
    "cancel": cancel_command,
    "retry": retry_command,
    "escalate": escalate_command,
}


@page
def commands(request: ConsoleRequest) -> HttpResponse:
    """Commands by status, name and device, the newest first."""
    status = request.GET.get("status", "")
    name = request.GET.get("name", "")
    uid = request.GET.get("device", "").strip()
    rows = list_commands(tenants=request.scope.tenants)
    names = list_command_names(tenants=request.scope.tenants)
    if status in S.values:
        rows = rows.filter(status=status)
    if name in names:
        rows = rows.filter(name=name)
    if uid:
        rows = rows.filter(device__uid=uid)
    found = page_of(request, rows)
    is_filtered = bool(status or name or uid)
    return render(
        request,
        "console/commands/list.html",
        {
            "headline": "Commands that match" if is_filtered else "Commands",
            "commands": found.rows,
            "next_url": found.next_url,
            "first_url": found.first_url,
            "statuses": S.choices,
            "names": names,
            "status": status,
            "name": name,
            "device": uid,
            "is_filtered": is_filtered,
        },
    )


@page
def command(request: ConsoleRequest, command_id: UUID) -> HttpResponse:
    context = _context(request, command_id) | {"actions": list(ACTIONS)}
    return render(request, "console/commands/page.html", context)


@conditional_page
@page
def now(request: ConsoleRequest, command_id: UUID) -> HttpResponse:
    """The part of the page that is polled; 304 while nothing changed."""
    return render(
        request, "console/commands/_command.html", _context(request, command_id)
    )


@require_POST
@page
def act(request: ConsoleRequest, command_id: UUID, action: str) -> HttpResponse:
    """Approve, cancel, send again, or hand to a person; then draw it again."""
    if action not in ACTIONS:
        raise BadRequest(f"There is no action {action}.")
    row = get_command(tenants=request.scope.all_tenants, public_id=command_id)
    right = Right.APPROVE if action == "approve" else Right.OPERATE
    request.scope.require(right, row.tenant_id)
    reason = request.POST.get("reason", "").strip()
    notice, result = "", row
    try:
        result = ACTIONS[action](command=row, actor=request.user, reason=reason)
    except (TransitionRefused, CommandRefused, Forbidden) as error:
        notice = error.detail
    if not request.htmx and not notice:
        return redirect("console:command", result.public_id)
    if result.public_id != command_id:  # a retry of an ended command is a new one
        response = HttpResponse()
        response["HX-Redirect"] = reverse("console:command", args=[result.public_id])
        return response
    context = _context(request, command_id) | {"notice": notice}
    template = "_command.html" if request.htmx else "page.html"
    return render(
        request,
        f"console/commands/{template}",
        context | {"actions": list(ACTIONS)},
        status=409 if notice else 200,
    )


def _context(request: ConsoleRequest, command_id: UUID) -> dict[str, Any]:
    row = get_command(tenants=request.scope.all_tenants, public_id=command_id)
    may_operate = request.scope.may(Right.OPERATE, row.tenant_id)
    can_retry = row.status in VERDICTS | {S.FAILED} - {S.SUPERSEDED}
    return {
        "command": row,
        "attempts": list_attempts(row),
        "events": list_events(row),
        "files": files_of([row]).get(row.pk, []),
        "verdicts": VERDICTS,
        "rights": {
            "may_approve": row.status == S.HELD
            and row.is_unapproved
            and row.requested_by_id != request.user.pk
            and request.scope.may(Right.APPROVE, row.tenant_id),
            "may_cancel": may_operate and row.status in UNSENT | UNDERWAY,
            "may_retry": may_operate and can_retry,
            "may_escalate": may_operate and row.is_open,
        },
    }
