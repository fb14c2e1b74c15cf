"""What cohorts call for: who is in them now, and the calls, which are work items."""

from django.conf import settings
from django.db import models

from fleet.choices import OF_SIZE, CallKind
from fleet.models.cohorts import Cohort
from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant


class CohortWatch(models.Model):
    """How far a cohort that calls has been watched; a cohort that does not has none."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    cohort = models.OneToOneField(
        Cohort, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    # What was so before this is no news. The first look must include all of it.
    asked_at = models.DateTimeField()
    filled_at = models.DateTimeField(null=True)  # when the members were first known
    looked_at = models.DateTimeField(null=True)
    # The side of its number that the size was on at the first look: leaving it calls.
    began_above = models.BooleanField(null=True)
    is_away = models.BooleanField(default=False)  # has left that side, and has called

    def __str__(self) -> str:
        return f"watch of {self.cohort_id}"


class CohortMember(models.Model):
    """A device that a calling cohort had at the last look; keeps its uid."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    cohort = models.ForeignKey(
        Cohort, on_delete=models.CASCADE, db_index=False, related_name="+"
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
                fields=["cohort", "device"], name="fleet_member_once_per_cohort"
            )
        ]

    def __str__(self) -> str:
        return self.uid


class CohortCall(PublicIdModel):
    """A call of a cohort: work for a person until somebody closes it.

    A call about the size closes by itself when the size has come back.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    cohort = models.ForeignKey(
        Cohort, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=8, choices=CallKind)
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    uid = models.CharField(max_length=64, blank=True)
    number = models.PositiveIntegerField(null=True)
    size = models.PositiveIntegerField(null=True)
    opened_at = models.DateTimeField()
    back_at = models.DateTimeField(null=True)  # the size came back; it may leave again
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(  # null: by itself
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["cohort"],
                condition=models.Q(closed_at=None, kind__in=list(OF_SIZE)),
                name="fleet_one_open_call_of_a_size",
            )
        ]
        indexes = [
            models.Index(fields=["cohort", "-id"], name="fleet_call_by_cohort"),
            models.Index(
                fields=["tenant", "id"],
                condition=models.Q(closed_at=None),
                name="fleet_call_open",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def is_of_size(self) -> bool:
        return self.kind in OF_SIZE

    @property
    def title(self) -> str:
        """What happened, in one sentence."""
        name = f"“{self.cohort.name}”"
        if self.kind == CallKind.ENTERED:
            return f"{self.uid} entered {name}"
        if self.kind == CallKind.LEFT:
            return f"{self.uid} left {name}"
        verb = "reached" if self.kind == CallKind.REACHED else "fell below"
        return f"{name} {verb} {self.number or 0:,} devices: {self.size or 0:,} match"
