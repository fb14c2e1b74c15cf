"""Standing policies: what the devices of a cohort shall always have."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from fleet.models.cohorts import Cohort
from iotplatform.common.models import PublicIdModel
from registry.models import Device, FirmwareRelease, Tenant


class StandingPolicy(PublicIdModel):
    """A configuration, or a firmware version, for each device that joins a cohort."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=200)
    cohort = models.ForeignKey(Cohort, on_delete=models.PROTECT, related_name="+")
    # A template (fleet/policy_templates.py), or else a version of firmware.
    desired = models.JSONField(null=True)
    release = models.ForeignKey(
        FirmwareRelease, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    firmware_version = models.CharField(max_length=64, blank=True)  # the release's
    # Of two that want a key of a device, the higher one decides, then the older one.
    priority = models.IntegerField(
        default=0, validators=[MinValueValidator(-1_000), MaxValueValidator(1_000)]
    )
    rate_per_minute = models.PositiveIntegerField(
        default=600, validators=[MinValueValidator(1), MaxValueValidator(60_000)]
    )
    is_enabled = models.BooleanField(default=True)
    # The policy is asked for then: what a person changed later stays as it is.
    asked_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"], name="fleet_policy_name_once_per_tenant"
            ),
            models.CheckConstraint(
                condition=Q(desired__isnull=True) | Q(firmware_version=""),
                name="fleet_policy_is_of_one_kind",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyMember(models.Model):
    """A device of a policy's cohort: what it shall have, and what stands against it."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    policy = models.ForeignKey(
        StandingPolicy, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        Device, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    # Whether the next sweep looks at it; it is new, or something has changed.
    is_due = models.BooleanField(default=True)
    # With all variables filled in; null until the first look.
    patch = models.JSONField(null=True)
    # What of it was handed out: without the keys that a stronger policy wants.
    kept = models.JSONField(null=True)
    # By the path of a key: who decides it instead.
    overruled = models.JSONField(default=dict)
    reason = models.CharField(max_length=200, blank=True)  # why nothing was sent
    handed_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)  # of the last sweep that looked at it
    # What was handed out last, by its public id, and how often since it was asked for.
    command = models.UUIDField(null=True)
    tries = models.PositiveSmallIntegerField(db_default=0, default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "device"], name="fleet_member_once_per_policy"
            )
        ]
        indexes = [
            models.Index(
                fields=["policy", "id"],
                name="fleet_policy_member_due",
                condition=Q(is_due=True),
            ),
            models.Index(
                fields=["policy", "handed_at"],
                name="fleet_policy_member_handed",
                condition=Q(handed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device_id} of {self.policy_id}"


class PolicyCompliance(models.Model):
    """How many devices of a policy had what it wants; a row for each change."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    policy = models.ForeignKey(
        StandingPolicy, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    at = models.DateTimeField()
    total = models.PositiveIntegerField()
    compliant = models.PositiveIntegerField()
    overruled = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "at"], name="fleet_compliance_once_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.compliant} of {self.total} at {self.at:%F %T}"
