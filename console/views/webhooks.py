"""Settings: the webhooks of a tenant, a test of each, and the delivery log."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.choices import Channel
from console.forms.fields import errors_of, refuse
from console.forms.webhooks import WebhookForm
from console.models import Webhook
from console.paging import page_of
from console.scope import ConsoleRequest, page
from console.selectors.webhooks import (
    get_notification,
    get_webhook,
    list_notifications,
    list_webhooks,
)
from console.services.webhooks.edit import (
    change_webhook,
    create_webhook,
    delete_webhook,
    send_test,
)
from console.services.webhooks.replay import replay_notification
from iotplatform.common.problems import Problem

if TYPE_CHECKING:
    from registry.models import Tenant


@page
def webhooks(request: ConsoleRequest) -> HttpResponse:
    """List webhooks and their log, or make one; only this answer has its secret."""
    tenants = manageable_tenants(request)
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _answer(request, tenants, form)
    try:
        row, secret = create_webhook(
            tenant=tenants[0], actor=request.user, **form.cleaned_data
        )
    except Problem as error:
        refuse(form, errors_of(error))
        return _answer(request, tenants, form)
    answer = _answer(request, tenants, WebhookForm(), new=row, secret=secret)
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@page
def act(request: ConsoleRequest, webhook_id: UUID, action: str) -> HttpResponse:
    row = get_webhook(tenants=manageable_tenants(request), public_id=webhook_id)
    if action == "test":
        send_test(row)
        messages.success(request, f"A test is on its way to “{row.name}”.")
    elif action in ("enable", "disable"):
        change_webhook(row, is_enabled=action == "enable")
        messages.success(request, f"“{row.name}” is {action}d.")
    elif action == "delete":
        delete_webhook(row)
        messages.success(request, f"“{row.name}” is deleted.")
    else:
        raise Http404(f"There is no action {action}.")
    return redirect("console:webhooks")


@require_POST
@page
def replay(request: ConsoleRequest, notification_id: UUID) -> HttpResponse:
    tenants = manageable_tenants(request)
    row = get_notification(tenants=tenants, public_id=notification_id)
    try:
        replay_notification(row)
    except Problem as error:
        messages.error(request, error.detail)
    page_of_log = "webhooks" if row.rule is None else "notification-rules"
    return redirect(f"console:{page_of_log}")


def manageable_tenants(request: ConsoleRequest) -> list[Tenant]:
    """Return the shown tenants that the person manages as a whole; 403 without one."""
    found = [row for row in request.scope.tenants if request.scope.manages(row)]
    if not found:
        raise request.scope.refusal_to_manage()
    return found


def _answer(
    request: ConsoleRequest,
    tenants: list[Tenant],
    form: WebhookForm,
    *,
    new: Webhook | None = None,
    secret: str = "",
) -> HttpResponse:
    log = list_notifications(tenants=tenants).filter(channel=Channel.WEBHOOK)
    found = page_of(request, log, size=30)
    context = {
        "webhooks": list(list_webhooks(tenants=tenants)),
        "log": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "form": form,
        "new": new,
        "secret": secret,
        "tenant": tenants[0],
    }
    status = 422 if form.errors else 200
    return render(request, "console/webhooks/list.html", context, status=status)
