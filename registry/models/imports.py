"""A file of devices that a person uploaded, and how its import went."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from registry.models.places import Tenant


class ImportStatus(models.TextChoices):
    QUEUED = "queued", "queued"  # waiting for a worker
    RUNNING = "running", "running"  # a worker is importing it
    DONE = "done", "done"  # its devices are registered, or would be without dry run
    REFUSED = "refused", "refused"  # it has errors; nothing was written
    FAILED = "failed", "failed"  # the platform could not finish it; nothing was written


class DeviceImport(PublicIdModel):
    """An import that a worker runs and a person can watch."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    file = models.FileField(upload_to="imports/")
    file_format = models.CharField(
        max_length=8, choices=[("csv", "CSV"), ("ndjson", "NDJSON")], default="csv"
    )
    is_dry_run = models.BooleanField("dry run", default=False)
    status = models.CharField(
        max_length=8, choices=ImportStatus, default=ImportStatus.QUEUED
    )
    starts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    devices = models.PositiveIntegerField(
        default=0
    )  # registered, or would be without dry run
    detail = models.TextField(blank=True)
    # The first ones: [{"line", "field", "message", "value"}].
    errors = models.JSONField(default=list, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"],
                name="registry_import_open",
                condition=Q(status__in=["queued", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.file_format} file: {self.status}"
