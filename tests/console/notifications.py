"""What tests of notifications do: rules made by the API, and the sweeps run by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework.test import APIClient

from console.models import NotificationRule
from console.services.notifications.plan import plan_notifications_across_tenants
from console.services.notifications.send import send_due_across_tenants
from console.services.webhooks.deliver import deliver_due_across_tenants
from console.services.webhooks.spread import spread_events_across_tenants
from registry.choices import Role
from registry.models import Tenant
from tests.commands.units import now
from tests.console.mail_server import MailServer
from tests.factories import MembershipFactory

RULES = "/api/v1/notification-rules/"
LOG = "/api/v1/notifications/"
MAIL = {"kind": "mail", "address": "us@example.com"}


def manager_of(tenant: Tenant) -> APIClient:
    member = MembershipFactory.create(tenant=tenant, role=Role.MANAGER)
    client = APIClient()
    client.force_authenticate(member.user)
    return client


def make_rule(tenant: Tenant, *targets: dict[str, Any], **given: Any) -> Any:
    """Return a new rule that mails to one address, if no targets are given."""
    body = {"name": "On call", "targets": list(targets) or [MAIL]} | given
    answer = manager_of(tenant).post(RULES, body, format="json")
    assert answer.status_code == 201, answer.content
    return NotificationRule.objects.get(public_id=answer.json()["id"])


def use_mail_server(settings: Any, server: MailServer) -> None:
    settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port


def plan(after: float = 0) -> int:
    """Make the messages that are due so many seconds from now."""
    return plan_notifications_across_tenants(now=now() + timedelta(seconds=after))


def send_all(after: float = 0) -> None:
    """Do what the sweeps do until nothing is due, so many seconds from now."""
    at = now() + timedelta(seconds=after)
    spread_events_across_tenants()
    while plan_notifications_across_tenants(now=at):
        pass
    while send_due_across_tenants(now=at) or deliver_due_across_tenants(now=at):
        pass
