"""What is judged of a device beside its connectivity, and what the judges are told."""

from django.db import models
from django.db.models import Q

from registry.choices import Adapter
from registry.models import Device, Tenant


class Risk(models.Model):
    """How much a device needs somebody's eye: a sum of named reasons; one row a device.

    A device of which nothing is known has no row, nor has one that is out of service.
    """

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    score = models.PositiveSmallIntegerField(default=0)
    # [{"name", "points", "text"}], the heaviest first; the points add up to the score.
    reasons = models.JSONField(default=list)
    at = models.DateTimeField()  # since when the judgment is this one
    # When time alone makes it another one.
    next_change_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(score__lte=100), name="state_risk_is_at_most_100"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_change_at"],
                name="state_risk_due",
                condition=Q(next_change_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.score}"


class RiskMark(models.Model):
    """A device whose risk is to be judged again; deleted by who does it."""

    device_id = models.BigIntegerField()  # no constraint: a mark may outlive its device

    def __str__(self) -> str:
        return f"{self.device_id}"


class CommandTally(models.Model):
    """How the newest commands of a device ended, as the command plane tells."""

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    ended = models.PositiveSmallIntegerField(default=0)
    failed = models.PositiveSmallIntegerField(default=0)  # of those that ended
    last_failed_at = models.DateTimeField(null=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.device_id}: {self.failed} of {self.ended} failed"


class AdapterPath(models.Model):
    """How one adapter path delivers, as the command plane tells."""

    adapter = models.CharField(max_length=16, primary_key=True, choices=Adapter)
    at = models.DateTimeField()
    # Tries that ended in the window just past, and those that brought no word back.
    tries = models.PositiveIntegerField(default=0)
    unanswered = models.PositiveIntegerField(default=0)
    latency_p50_ms = models.FloatField(null=True)
    latency_p95_ms = models.FloatField(null=True)
    usual_p95_ms = models.FloatField(null=True)  # of the day before that window

    def __str__(self) -> str:
        return f"{self.adapter}: {self.unanswered} of {self.tries} unanswered"
