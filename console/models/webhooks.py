"""Webhooks, the events that go out, and the hosts that may be private."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from iotplatform.common.models import PublicIdModel


class Webhook(PublicIdModel):
    """An address of a tenant that gets its events."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, related_name="+"
    )
    name = models.CharField(max_length=200)
    url = models.CharField(max_length=2_000)
    events = models.JSONField()  # as its maker wrote them
    patterns = models.JSONField()  # the same in one form: "*", "alarm.*", "job.stopped"
    secret = models.TextField()  # encrypted; it signs every message
    is_enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # Nobody answered there: no message is tried before this.
    resumes_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="console_webhook_name_once_per_tenant"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant"],
                name="console_webhook_enabled",
                condition=Q(is_enabled=True),
            )
        ]

    def __str__(self) -> str:
        return self.name


class WebhookHost(PublicIdModel):
    """A host that a superuser allows, though it is private or speaks plain http."""

    host = models.CharField(max_length=300, unique=True)  # name:port
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    added_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.host


class OutgoingEvent(models.Model):
    """Something that happened, for whoever subscribes to it.

    Triggers write it in the transaction of what happened, for tenants with a webhook.
    """

    public_id = models.UUIDField(
        unique=True, db_default=models.Func(function="gen_random_uuid")
    )
    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        "registry.Device",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    # Events with the same key reach a receiver in their order: "device:7", "job:3".
    order_key = models.CharField(max_length=40)
    type = models.CharField(max_length=40)  # "alarm.raised"
    subject = models.CharField(max_length=200)  # the device's uid, else the object's id
    at = models.DateTimeField()
    data = models.JSONField()
    is_spread = models.BooleanField(default=False, db_default=False)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                name="console_event_to_spread",
                condition=Q(is_spread=False),
            ),
            models.Index(fields=["written_at"], name="console_event_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.subject}"
