"""Rules that say whom to tell of an incident."""

from django.conf import settings
from django.db import models

from iotplatform.common.models import PublicIdModel
from state.choices import Severity


class NotificationRule(PublicIdModel):
    """Whom a tenant's incidents are told to, and when."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, related_name="+"
    )
    name = models.CharField(max_length=200)
    severity = models.CharField(  # at least this
        max_length=8, choices=Severity, default=Severity.WARNING
    )
    # Empty: all. Slugs never change.
    sites = models.JSONField(default=list)
    causes = models.JSONField(default=list)
    # [{"days": ["mon"], "from": "22:00", "to": "06:00"}]; but critical ones go out.
    quiet_hours = models.JSONField(default=list)
    # Of the quiet hours; empty: the zone of the incident's site, else UTC.
    time_zone = models.CharField(max_length=64, blank=True)
    # In the order of escalation; addresses of chat rooms are encrypted.
    targets = models.JSONField()
    # Null: only the first target is told.
    escalate_after_minutes = models.PositiveIntegerField(null=True)
    digest_minutes = models.PositiveIntegerField(default=0)  # 0: each at once
    is_enabled = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="console_rule_name_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.name
