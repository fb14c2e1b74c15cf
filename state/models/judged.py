"""The risk of devices, and what the command plane reports for risk and diagnosis."""

from django.db import models
from django.db.models import Q

from registry.choices import Adapter
from registry.models import Device, Tenant
from state.choices import Trouble, Verdict


class Risk(models.Model):
    """How urgently a person should look at a device: a sum of named reasons.

    One row a device; none if nothing is known of it, or if it is out of service.
    """

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    score = models.PositiveSmallIntegerField(default=0)
    # [{"name", "points", "text"}], most points first; the points add up to the score.
    reasons = models.JSONField(default=list)
    at = models.DateTimeField()  # since when the judgment is unchanged
    # When time alone changes the judgment.
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


class LastFinding(models.Model):
    """What the counts said of a device's trouble; the next judgment favours it.

    One row a device; none if the device is well, or out of service.
    """

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    trouble = models.CharField(max_length=16, choices=Trouble)
    verdict = models.CharField(max_length=16, choices=Verdict)
    trait = models.CharField(max_length=16, blank=True)  # that shows it
    at = models.DateTimeField()  # since when it is found

    def __str__(self) -> str:
        return f"{self.device_id}: {self.trouble}, {self.verdict} {self.trait}".strip()


class RiskMark(models.Model):
    """A device whose risk must be judged again; deleted when that is done."""

    device_id = models.BigIntegerField()  # no constraint: a mark may outlive its device

    def __str__(self) -> str:
        return f"{self.device_id}"


class CommandTally(models.Model):
    """How the newest commands of a device ended, as the command plane reports it."""

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
    """How one adapter delivers commands, as the command plane reports it."""

    adapter = models.CharField(max_length=16, primary_key=True, choices=Adapter)
    at = models.DateTimeField()
    # Attempts that ended in the last window, and those without an answer.
    tries = models.PositiveIntegerField(default=0)
    unanswered = models.PositiveIntegerField(default=0)
    latency_p50_ms = models.FloatField(null=True)
    latency_p95_ms = models.FloatField(null=True)
    usual_p95_ms = models.FloatField(null=True)  # of the day before that window

    def __str__(self) -> str:
        return f"{self.adapter}: {self.unanswered} of {self.tries} unanswered"
