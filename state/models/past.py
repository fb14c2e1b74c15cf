"""What twins reported before, and since when the past of devices is kept."""

from django.db import models

from registry.models import Device, Tenant


class PastTwin(models.Model):
    """Versions that a device reported until a moment; written by triggers.

    Partitioned by day. The first row after a moment has the values of that moment;
    without one they are those of the twin. Keys have no constraints: partitions are
    dropped whole.
    """

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
    firmware = models.CharField(max_length=64, blank=True)
    config_version = models.CharField(max_length=64, blank=True)
    until = models.DateTimeField()

    class Meta:
        db_table = "state_pasttwin"

    def __str__(self) -> str:
        return f"{self.device_id} until {self.until:%F %T} UTC: {self.firmware}"


class PastStart(models.Model):
    """Since when the past of devices is kept; no row: since the first device."""

    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%F %T} UTC"
