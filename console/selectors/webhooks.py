"""Reads of webhooks, of allowed hosts, and of the delivery log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Q, QuerySet

from console.exceptions import NoSuchNotification, NoSuchWebhook
from console.models import Notification, Webhook, WebhookHost
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant, within

if TYPE_CHECKING:
    from registry.models import Tenant


def list_webhooks(*, tenants: Sequence[Tenant]) -> QuerySet[Webhook]:
    """Return the webhooks; they belong to the whole tenant, as do their events."""
    rows = Webhook.objects.filter(tenant__in=tenants)
    return rows.select_related("tenant", "created_by").order_by("pk")


def get_webhook(*, tenants: Sequence[Tenant], public_id: UUID | str) -> Webhook:
    """Return one webhook; raises NoSuchWebhook."""
    wanted = parse_uuid(public_id)
    rows = list_webhooks(tenants=tenants)
    found = wanted and rows.filter(public_id=wanted).first()
    if not found:
        raise NoSuchWebhook("There is no such webhook.")
    attach_caller_tenant(found, tenants)
    return found


def list_hosts_across_tenants() -> QuerySet[WebhookHost]:
    """Return the hosts that superusers have allowed, for all tenants."""
    return WebhookHost.objects.select_related("added_by").order_by("pk")


def get_host_across_tenants(public_id: UUID | str) -> WebhookHost:
    """Return one allowed host; raises NoSuchWebhook."""
    wanted = parse_uuid(public_id)
    rows = list_hosts_across_tenants()
    found = wanted and rows.filter(public_id=wanted).first()
    if not found:
        raise NoSuchWebhook("There is no such host.")
    return found


def list_notifications(*, tenants: Sequence[Tenant]) -> QuerySet[Notification]:
    """Return the delivery log; a limited member sees what is about their devices."""
    whole = [tenant for tenant in tenants if tenant.limit is None]
    limited = [tenant for tenant in tenants if tenant.limit is not None]
    found = Q(tenant__in=whole)
    if limited:
        found |= within(limited, device="device")
    rows = Notification.objects.filter(found)
    shown = rows.select_related("tenant", "webhook", "rule", "incident", "event")
    return shown.order_by("pk")


def get_notification(
    *, tenants: Sequence[Tenant], public_id: UUID | str
) -> Notification:
    """Return one message; raises NoSuchNotification."""
    wanted = parse_uuid(public_id)
    rows = list_notifications(tenants=tenants)
    found = wanted and rows.filter(public_id=wanted).first()
    if not found:
        raise NoSuchNotification("There is no such notification.")
    attach_caller_tenant(found, tenants)
    return found
