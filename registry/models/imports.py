"""A file of devices that a person gave, and what became of it."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from registry.models.places import Tenant


class ImportStatus(models.TextChoices):
    """How far a file is."""

    QUEUED = "queued", "queued"  # waits for a worker
    RUNNING = "running", "running"  # a worker is at it
    DONE = "done", "done"  # its devices are registered, or would be
    REFUSED = "refused", "refused"  # it has errors, and nothing was written
    FAILED = "failed", "failed"  # we could not finish it, and nothing was written


class DeviceImport(PublicIdModel):
    """An import that a worker does, so that a person can watch it."""

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
    devices = models.PositiveIntegerField(default=0)  # registered, or would be
    detail = models.TextField(blank=True)
    # [{"line", "field", "message", "value"}], the first ones.
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
