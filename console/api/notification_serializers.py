"""Shapes of webhooks and of the delivery log in the REST API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.choices import Channel, DeliveryStatus
from console.models import Notification, Webhook, WebhookHost
from console.services.webhooks.addresses import LONGEST_URL
from console.services.webhooks.edit import LONGEST_NAME
from iotplatform.common.flags import FlagField
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import TenantField

Plain = serializers.Serializer[Any]
EVENTS = (
    "Kinds (`alarms`, `commands`, `jobs`, `connectivity`, `incidents`), types"
    " (`alarm.raised`), or `*` for all."
)


class WebhookSerializer(Plain):
    """An address that gets events."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    name = serializers.CharField()
    url = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField(), help_text=EVENTS)
    enabled = serializers.BooleanField(source="is_enabled")
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    def get_created_by(self, row: Webhook) -> str | None:
        """Return the user name of the person who made it."""
        return row.created_by.get_username() if row.created_by else None


class NewWebhookSerializer(WebhookSerializer):
    """A new webhook with the secret that signs its messages."""

    secret = serializers.CharField(help_text="`whsec_…`; shown only now.")


class WebhookRequestSerializer(StrictSerializer):
    """A new webhook."""

    tenant = TenantField()
    name = serializers.CharField(max_length=LONGEST_NAME)
    url = serializers.CharField(max_length=LONGEST_URL, trim_whitespace=False)
    events = serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=100,
        default=lambda: ["*"],
        help_text=EVENTS,
    )
    enabled = FlagField(source="is_enabled", required=False)


class WebhookChangeSerializer(StrictSerializer):
    """Changes of a webhook."""

    name = serializers.CharField(max_length=LONGEST_NAME, required=False)
    url = serializers.CharField(
        max_length=LONGEST_URL, trim_whitespace=False, required=False
    )
    events = serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=100,
        required=False,
        help_text=EVENTS,
    )
    enabled = FlagField(source="is_enabled", required=False)


class WebhookHostSerializer(Plain):
    """A host that may be private, and speak plain http."""

    id = serializers.UUIDField(source="public_id")
    host = serializers.CharField()
    added_by = serializers.SerializerMethodField()
    added_at = serializers.DateTimeField()

    def get_added_by(self, row: WebhookHost) -> str | None:
        """Return the user name of the superuser who added it."""
        return row.added_by.get_username() if row.added_by else None


class WebhookHostRequestSerializer(StrictSerializer):
    """A host to allow."""

    host = serializers.CharField(max_length=300, help_text="`name:port`")


class NotificationSerializer(Plain):
    """One message to one target."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    channel = serializers.ChoiceField(choices=Channel.choices)
    target = serializers.CharField(
        help_text="Its name: a webhook, a person, an address, a chat service."
    )
    webhook = serializers.SerializerMethodField()
    rule = serializers.SerializerMethodField()
    incident = serializers.SerializerMethodField()
    step = serializers.IntegerField(
        allow_null=True, help_text="The place of the target in its rule, from 1."
    )
    event = serializers.SerializerMethodField()
    type = serializers.CharField(help_text="Of the event, such as `alarm.raised`.")
    subject = serializers.CharField(help_text="The device's uid, else an object's id.")
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    attempts = serializers.IntegerField()
    response_status = serializers.IntegerField(
        allow_null=True, help_text="Of the last answer; null: there was none."
    )
    error = serializers.CharField(help_text="Of the last try; empty: delivered.")
    created_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(
        allow_null=True, help_text="Of the next try; null: it has ended."
    )
    delivered_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_webhook(self, row: Notification) -> str | None:
        """Return the id of the webhook."""
        return str(row.webhook.public_id) if row.webhook else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_rule(self, row: Notification) -> str | None:
        """Return the id of the notification rule; null: the webhook has subscribed."""
        return str(row.rule.public_id) if row.rule else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_incident(self, row: Notification) -> str | None:
        """Return the id of the incident that a rule tells of."""
        return str(row.incident.public_id) if row.incident else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_event(self, row: Notification) -> str | None:
        """Return the id of the event, which is the message's `webhook-id`."""
        return str(row.event.public_id) if row.event else None
