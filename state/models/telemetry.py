"""The latest value of each metric, and its history in buckets."""

from django.db import models

from registry.models import Device, Tenant
from state.choices import RollupStep


class TelemetrySummary(models.Model):
    """The latest values of a device, and the values that the fleet index has."""

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    # {metric: {"value": …, "at": RFC 3339}}
    latest = models.JSONField(default=dict)
    # {metric: value}: changes only when a value leaves the dead band that its product
    # declares, so the index is not updated with every message.
    indexed = models.JSONField(default=dict)
    updated_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.device_id}: {', '.join(self.latest)}"


class TelemetryRollup(models.Model):
    """One metric of one device in one bucket of time; partitioned by day.

    The first migration creates the table and its unique index (device, metric, step,
    at) by SQL. There is no other index: a second one made every batch a third slower.
    """

    pk = models.CompositePrimaryKey("device_id", "metric", "step", "at")
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    metric = models.CharField(max_length=64)
    step = models.PositiveSmallIntegerField(choices=RollupStep)
    at = models.DateTimeField()  # start of the bucket
    minimum = models.FloatField()
    maximum = models.FloatField()
    total = models.FloatField()
    count = models.PositiveIntegerField()
    last = models.FloatField()
    last_at = models.DateTimeField()

    class Meta:
        db_table = "state_telemetryrollup"

    def __str__(self) -> str:
        return f"{self.device_id} {self.metric} {self.at:%F %T} UTC/{self.step}"
