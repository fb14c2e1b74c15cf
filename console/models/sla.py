"""How soon an incident is to be acknowledged and resolved."""

from django.core.validators import MinValueValidator
from django.db import models

from iotplatform.common.models import PublicIdModel
from state.choices import Severity


class SlaPolicy(PublicIdModel):
    """The times that a tenant allows for incidents of a severity."""

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, related_name="+"
    )
    severity = models.CharField(max_length=8, choices=Severity)
    acknowledge_minutes = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    resolve_minutes = models.PositiveIntegerField(validators=[MinValueValidator(1)])

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "severity"], name="console_one_policy_per_severity"
            )
        ]

    def __str__(self) -> str:
        return f"{self.severity}: {self.acknowledge_minutes} / {self.resolve_minutes}"


class SlaDay(models.Model):
    """Seconds in service and lost, by cause, of a place in a day of its time zone.

    A place is what a member can be limited to: a site, and a project there. Seconds of
    all its devices. More than 15 columns: one for each cause, so that they are summed
    without being taken apart.
    """

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    site = models.ForeignKey(
        "registry.Site",
        on_delete=models.CASCADE,
        db_constraint=False,
        related_name="+",
    )
    project = models.ForeignKey(
        "registry.Project",
        on_delete=models.CASCADE,
        null=True,
        db_constraint=False,
        related_name="+",
    )
    day = models.DateField()
    from_at = models.DateTimeField()
    until = models.DateTimeField()  # of the running day: when it was counted
    # Counted when nothing that comes in time could change it any more.
    is_settled = models.BooleanField(default=False)
    active = models.FloatField()
    platform = models.FloatField()
    maintenance = models.FloatField()
    job = models.FloatField()
    adapter = models.FloatField()
    gateway = models.FloatField()
    site_itself = models.FloatField()
    unknown = models.FloatField()
    device = models.FloatField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "site", "project", "day"],
                nulls_distinct=False,
                name="console_sla_day_once",
            )
        ]
        indexes = [models.Index(fields=["day"], name="console_sla_day_by_age")]

    def __str__(self) -> str:
        return f"{self.site_id} {self.day}"


class SlaRecount(models.Model):
    """A time of a place to count again; triggers write it with the late evidence."""

    # No constraints: it may be written while these are deleted.
    tenant = models.ForeignKey(
        "registry.Tenant",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    site = models.ForeignKey(
        "registry.Site",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    project = models.ForeignKey(
        "registry.Project",
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    from_at = models.DateTimeField()
    until = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "site"], name="console_sla_recount_of")
        ]

    def __str__(self) -> str:
        return f"{self.site_id} from {self.from_at:%F %T} UTC"
