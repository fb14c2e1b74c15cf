"""What devices were before: owner, place and lifecycle until a moment."""

from django.db import models

from registry.choices import Lifecycle
from registry.models.devices import Device
from registry.models.places import Project, Site, Tenant


class PastDevice(models.Model):
    """Values that a device had until a moment; partitioned by day, written by triggers.

    The first row after a moment has the values of that moment; without one they are
    those of the device itself. A device that comes from another tenant has two rows: of
    the old owner the values, of the new one a row without lifecycle, because the device
    was not theirs before. Keys have no constraints: partitions are dropped whole.
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
    project = models.ForeignKey(
        Project,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    site = models.ForeignKey(
        Site,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    # For a site that was deleted since.
    site_slug = models.CharField(max_length=64, blank=True)
    lifecycle = models.CharField(max_length=16, choices=Lifecycle, blank=True)
    until = models.DateTimeField()

    class Meta:
        db_table = "registry_pastdevice"

    def __str__(self) -> str:
        return f"{self.device_id} until {self.until:%F %T} UTC: {self.lifecycle}"
