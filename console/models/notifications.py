"""Notifications: every message to somebody outside, and what came of it."""

from django.db import models
from django.db.models import Q

from console.choices import Channel, DeliveryStatus
from console.models.incidents import Incident
from console.models.notification_rules import NotificationRule
from console.models.webhooks import OutgoingEvent, Webhook
from iotplatform.common.models import PublicIdModel


class Notification(PublicIdModel):
    """One message to one target: delivered, waiting for its next try, or given up.

    More than 15 columns: the delivery log shows a row without reading another table.
    """

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    channel = models.CharField(max_length=8, choices=Channel)
    target = models.CharField(max_length=300)  # its name; no address with secrets
    device = models.ForeignKey(
        "registry.Device",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    type = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    webhook = models.ForeignKey(
        Webhook,
        on_delete=models.CASCADE,
        db_index=False,
        null=True,
        related_name="+",
    )
    event = models.ForeignKey(
        OutgoingEvent, on_delete=models.CASCADE, null=True, related_name="+"
    )
    # Of a notification rule; null: the webhook has subscribed to the event.
    rule = models.ForeignKey(
        NotificationRule,
        on_delete=models.CASCADE,
        db_index=False,
        null=True,
        related_name="+",
    )
    incident = models.ForeignKey(
        Incident, on_delete=models.CASCADE, null=True, related_name="+"
    )
    step = models.PositiveSmallIntegerField(null=True)  # 1: its first target
    # When it was to be told, after quiet hours and with a digest. Escalation counts
    # from here.
    tell_at = models.DateTimeField(null=True)
    # Those with the same key are sent in their order; "to:…" is a target of a rule.
    order_key = models.CharField(max_length=40, blank=True)
    status = models.CharField(
        max_length=12, choices=DeliveryStatus, default=DeliveryStatus.PENDING
    )
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    due_at = models.DateTimeField(null=True)  # null: it has ended
    claim_token = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    response_status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True, default="", db_default="")
    created_at = models.DateTimeField()
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "event"], name="console_event_once_per_webhook"
            ),
            models.UniqueConstraint(
                fields=["rule", "incident", "step"], name="console_told_once_per_step"
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "-id"], name="console_notification_by_tenant"
            ),
            models.Index(
                fields=["webhook", "due_at", "id"],
                name="console_notification_due",
                condition=Q(status="pending"),
            ),
            models.Index(
                fields=["webhook", "order_key", "id"],
                name="console_notification_order",
                condition=Q(status="pending"),
            ),
            models.Index(
                fields=["order_key", "id"],
                name="console_notification_to_tell",
                condition=Q(status="pending", webhook=None),
            ),
            models.Index(
                fields=["order_key", "delivered_at"],
                name="console_notification_told",
                condition=Q(status="delivered", webhook=None),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} to {self.target}: {self.status}"
