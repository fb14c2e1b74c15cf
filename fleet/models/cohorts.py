"""Cohorts and snapshots: people make them, so they cannot be rebuilt."""

from django.conf import settings
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant


class Cohort(PublicIdModel):
    """A saved query: the devices that match it now."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=200)
    query = models.TextField()
    description = models.TextField(blank=True, default="", max_length=2_000)
    # Whom to ask about it; at first the person who saved it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    # A call is work for a person: the size crosses a number, a device comes or goes.
    calls_at = models.PositiveIntegerField(null=True, blank=True)
    calls_each = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="fleet_cohort_name_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.name


class CohortSize(models.Model):
    """How many devices a cohort had at one time; a gap where nobody could know."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    cohort = models.ForeignKey(
        Cohort, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    at = models.DateTimeField()
    size = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cohort", "at"], name="fleet_cohort_size_once_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.size} at {self.at:%F %T}"


class Snapshot(PublicIdModel):
    """The exact devices of a cohort at one time, with a hash as proof."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    cohort = models.ForeignKey(
        Cohort, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    query = models.TextField()
    taken_at = models.DateTimeField()
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    index_lag_seconds = models.FloatField()
    size = models.PositiveIntegerField()
    # SHA-256 of the sorted uids, one per line.
    target_hash = models.CharField(max_length=64)

    class Meta:
        indexes = [
            models.Index(fields=["cohort", "-id"], name="fleet_snapshot_by_cohort")
        ]

    def __str__(self) -> str:
        return f"{self.size} devices, {self.target_hash[:12]}"


class SnapshotMember(models.Model):
    """A device of a snapshot; keeps its uid, because a snapshot outlives a device."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    snapshot = models.ForeignKey(
        Snapshot, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    uid = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["snapshot", "device"], name="fleet_member_once_per_snapshot"
            )
        ]

    def __str__(self) -> str:
        return self.uid
