"""Settings: the notification rules of a tenant, a test of each, and their log."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.forms.notification_rules import NotificationRuleForm
from console.models import NotificationRule
from console.paging import page_of
from console.scope import ConsoleRequest, page
from console.selectors.notification_rules import get_rule, list_rules
from console.selectors.webhooks import list_notifications, list_webhooks
from console.services.notifications.edit import change_rule, create_rule, delete_rule
from console.services.notifications.rule_test import send_rule_test
from console.views.webhooks import manageable_tenants
from iotplatform.common.problems import Problem
from registry.permissions import Right

if TYPE_CHECKING:
    from registry.models import Tenant


@page
def rules(request: ConsoleRequest) -> HttpResponse:
    """List the rules, and what was sent by them."""
    tenants = manageable_tenants(request)
    log = list_notifications(tenants=tenants).filter(rule__isnull=False)
    found = page_of(request, log, size=30)
    context = {
        "rules": list(list_rules(tenants=tenants)),
        "log": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "tenant": tenants[0],
    }
    return render(request, "console/notification_rules/list.html", context)


@page
def new_rule(request: ConsoleRequest) -> HttpResponse:
    """The form of a new rule; a POST makes it."""
    tenant = manageable_tenants(request)[0]
    return _form(request, tenant, None)


@page
def rule(request: ConsoleRequest, notification_rule_id: UUID) -> HttpResponse:
    """The form of a rule; a POST changes it."""
    row = _managed_rule(request, notification_rule_id)
    return _form(request, row.tenant, row)


@require_POST
@page
def act(
    request: ConsoleRequest, notification_rule_id: UUID, action: str
) -> HttpResponse:
    row = _managed_rule(request, notification_rule_id)
    if action == "test":
        count = len(send_rule_test(row))
        whom = "its target" if count == 1 else f"its {count} targets"
        messages.success(request, f"A test of “{row.name}” is on its way to {whom}.")
    elif action == "delete":
        delete_rule(row)
        messages.success(request, f"“{row.name}” is deleted.")
    else:
        raise Http404(f"There is no action {action}.")
    return redirect("console:notification-rules")


def _managed_rule(request: ConsoleRequest, rule_id: UUID) -> NotificationRule:
    """Return a rule of a tenant that the person manages as a whole."""
    scope = request.scope
    row = get_rule(tenants=scope.all_tenants, public_id=rule_id)
    if row.tenant.limit is not None or not scope.may(Right.MANAGE, row.tenant_id):
        raise scope.refusal(Right.MANAGE, [row.tenant])
    return row


def _form(
    request: ConsoleRequest, tenant: Tenant, row: NotificationRule | None
) -> HttpResponse:
    webhooks = list_webhooks(tenants=[tenant])
    form = NotificationRuleForm(row, webhooks, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            if row is None:
                saved = create_rule(
                    tenant=tenant,
                    actor=request.user,
                    **form.changes(),
                )
            else:
                saved = change_rule(row, **form.changes())
        except Problem as error:
            form.refuse(error)
        else:
            messages.success(request, f"“{saved.name}” is saved.")
            return redirect("console:notification-rules")
    context = {"form": form, "row": row, "tenant": tenant}
    status = 422 if form.errors else 200
    template = "console/notification_rules/form.html"
    return render(request, template, context, status=status)
