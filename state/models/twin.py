"""What a device should be, what it says it is, and the difference."""

from django.db import models

from registry.models import Device, Tenant
from state.choices import TwinSide


class Twin(models.Model):
    """Desired and reported documents of a device, with their versions."""

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    desired = models.JSONField(default=dict)
    desired_version = models.BigIntegerField(default=0)
    desired_at = models.DateTimeField(null=True)
    reported = models.JSONField(default=dict)
    reported_version = models.BigIntegerField(default=0)
    # The start and the connection that the reported version counts within.
    reported_boot = models.BigIntegerField(null=True)
    reported_session = models.CharField(max_length=64, blank=True)
    reported_at = models.DateTimeField(null=True)
    # {key: {"desired": …, "reported": …}} of the desired keys that are not so yet.
    delta = models.JSONField(default=dict)
    firmware = models.CharField(max_length=64, blank=True)
    config_version = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.device_id}: {self.desired_version}/{self.reported_version}"


class TwinChange(models.Model):
    """One change of a desired or reported document; partitioned by day.

    The table and its index (device, at) are made by SQL in a migration. No constraints
    on the keys: a partition is dropped whole.
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
    at = models.DateTimeField()
    side = models.CharField(max_length=8, choices=TwinSide)
    version = models.BigIntegerField()
    # {key: {"from": …, "to": …}}; a member that is missing was, or is, not there.
    changes = models.JSONField()

    class Meta:
        db_table = "state_twinchange"

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.side}: {', '.join(self.changes)}"
