"""Twins: the desired and the reported document of a device, and their changes."""

from django.db import models

from registry.models import Device, Tenant
from state.choices import TwinSide


class Twin(models.Model):
    """The desired and the reported document of a device, with their versions."""

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    desired = models.JSONField(default=dict)
    desired_version = models.BigIntegerField(default=0)
    desired_at = models.DateTimeField(null=True)
    # By path: who asked for the value (or its removal), when, and by which command.
    desired_asks = models.JSONField(default=dict)
    reported = models.JSONField(default=dict)
    reported_version = models.BigIntegerField(default=0)
    # The boot and the session within which reported_version counts.
    reported_boot = models.BigIntegerField(null=True)
    reported_session = models.CharField(max_length=64, blank=True)
    reported_at = models.DateTimeField(null=True)
    # {key: {"desired": …, "reported": …}}: desired keys whose reported value differs.
    delta = models.JSONField(default=dict)
    firmware = models.CharField(max_length=64, blank=True)
    config_version = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes = [
            # For the evidence of incidents: few devices differ from what is wanted.
            models.Index(
                fields=["device"],
                name="state_twin_drifting",
                condition=~models.Q(delta={}),
            )
        ]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.desired_version}/{self.reported_version}"


class TwinChange(models.Model):
    """One change of a desired or reported document; partitioned by day.

    A migration creates the table and its index (device, at) by SQL. The keys have no
    constraints, because partitions are dropped whole.
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
    # {key: {"from": …, "to": …}}; a missing member: there was, or is, no value.
    changes = models.JSONField()

    class Meta:
        db_table = "state_twinchange"

    def __str__(self) -> str:
        return f"{self.at:%F %T} UTC {self.side}: {', '.join(self.changes)}"
