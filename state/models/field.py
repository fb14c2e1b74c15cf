"""What people saw at the device."""

from django.conf import settings
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant
from state.choices import Observation


class FieldFeedback(PublicIdModel):
    """One observation, with its author and time; newer ones do not replace it."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    observation = models.CharField(max_length=16, choices=Observation)
    note = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )

    class Meta:
        indexes = [models.Index(fields=["device", "-at"], name="state_feedback_newest")]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.observation}"
