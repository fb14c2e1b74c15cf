"""What a device complains about, once per code while it lasts."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant
from state.lifecycle import AlarmState, Severity


class Alarm(PublicIdModel):
    """One complaint, from its first report to its clearing."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(
        max_length=12, choices=AlarmState, default=AlarmState.RAISED
    )
    message = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    last_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "code"],
                condition=~Q(state=AlarmState.CLEARED),
                name="state_one_open_alarm_per_code",
            )
        ]
        indexes = [
            models.Index(fields=["device", "-last_at"], name="state_alarm_last"),
            # Few are open of all that ever were, and those are what people look at.
            models.Index(
                fields=["-id", "tenant"],
                name="state_alarm_open",
                condition=~Q(state=AlarmState.CLEARED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.severity}, {self.state})"
