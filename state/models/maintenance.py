"""Maintenance windows, their places, and the alarms that are held back."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from iotplatform.common.models import PublicIdModel
from registry.models import Device, Site, Tenant
from state.choices import Severity
from state.models.rules import AlarmRule


class MaintenanceWindow(PublicIdModel):
    """Announced work at devices, or at whole sites: when, and why."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    from_at = models.DateTimeField()
    until = models.DateTimeField()
    reason = models.CharField(max_length=200)
    # What opened it if no person did: "job:" and the job's id.
    origin = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(until__gt=F("from_at")), name="state_window_lasts"
            ),
            models.UniqueConstraint(
                fields=["tenant", "origin"],
                condition=~Q(origin=""),
                name="state_one_window_per_origin",
            ),
        ]
        indexes = [models.Index(fields=["until"], name="state_window_until")]

    def __str__(self) -> str:
        return f"{self.from_at:%F %T} to {self.until:%F %T} UTC: {self.reason}"


class MaintenancePlace(models.Model):
    """A device or site of a window; its work may end sooner than the window."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    window = models.ForeignKey(
        MaintenanceWindow, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        Device,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    site = models.ForeignKey(
        Site,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    from_at = models.DateTimeField()
    until = models.DateTimeField()
    # Set by a trigger when a row is written, and by the sweep when time changes it.
    is_in_force = models.BooleanField(db_default=False, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(device__isnull=False, site__isnull=True)
                | Q(device__isnull=True, site__isnull=False),
                name="state_place_is_a_device_or_a_site",
            ),
            models.CheckConstraint(
                condition=Q(until__gt=F("from_at")), name="state_place_lasts"
            ),
            models.UniqueConstraint(
                fields=["window", "device"],
                condition=Q(device__isnull=False),
                name="state_place_once_per_device",
            ),
            models.UniqueConstraint(
                fields=["window", "site"],
                condition=Q(site__isnull=False),
                name="state_place_once_per_site",
            ),
        ]
        indexes = [
            models.Index(fields=["device", "until"], name="state_place_device"),
            models.Index(fields=["site", "until"], name="state_place_site"),
            models.Index(fields=["window", "until"], name="state_place_window"),
            models.Index(
                fields=["device"],
                name="state_place_device_in_force",
                condition=Q(is_in_force=True),
            ),
            models.Index(
                fields=["site"],
                name="state_place_site_in_force",
                condition=Q(is_in_force=True),
            ),
            models.Index(
                fields=["until"],
                name="state_place_ends",
                condition=Q(is_in_force=True),
            ),
            models.Index(
                fields=["until"],
                name="state_place_begins",
                condition=Q(is_in_force=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_at:%F %T} to {self.until:%F %T} UTC"


class HeldAlarm(models.Model):
    """A report held back; it becomes an alarm after maintenance and hold time."""

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    device = models.ForeignKey(
        Device, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    message = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField()  # the device's own time if it is plausible
    heard_at = models.DateTimeField(db_default=Now())  # the platform's time
    # The rule that it comes from, and when that rule's hold time is over.
    rule = models.ForeignKey(
        AlarmRule,
        on_delete=models.DO_NOTHING,
        null=True,
        db_constraint=False,
        related_name="+",
    )
    due_at = models.DateTimeField()
    # When the sweep checks it: at due_at, or later during maintenance.
    look_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "code"], name="state_one_held_alarm_per_code"
            )
        ]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.code} ({self.severity})"
