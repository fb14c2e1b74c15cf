"""Alarms (one open alarm per device and code), and their changes."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from registry.models import Device, Tenant
from state.choices import AlarmMove, AlarmReason, AlarmState, Severity
from state.models.rules import AlarmRule


class Alarm(PublicIdModel):
    """One alarm, from the first report until it is cleared.

    More than 15 columns, because one lock must cover all that a report reads and
    writes.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(
        max_length=12, choices=AlarmState, default=AlarmState.RAISED
    )
    message = models.TextField(blank=True)
    count = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    last_at = models.DateTimeField()
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    cleared_at = models.DateTimeField(null=True, blank=True)
    # The rule that raised it; null: the device did. No constraint: a running batch may
    # raise it while somebody deletes the rule, and must not fail.
    rule = models.ForeignKey(
        AlarmRule,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_constraint=False,
        related_name="+",
    )
    # An alarm that comes and goes is kept open as one alarm. Since when; how often and
    # when last it came back; since when it is away (null: it is present); and when it
    # settles if nothing changes.
    flapping_since = models.DateTimeField(null=True, blank=True)
    flaps = models.PositiveIntegerField(default=0)
    back_at = models.DateTimeField(null=True, blank=True)
    calm_since = models.DateTimeField(null=True, blank=True)
    settles_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["device", "code"],
                condition=~Q(state=AlarmState.CLEARED),
                name="state_one_open_alarm_per_code",
            )
        ]
        indexes = [
            models.Index(fields=["device", "-last_at"], name="state_alarm_last"),
            # Few of all alarms are open, and these are the ones people look at.
            models.Index(
                fields=["-id", "tenant"],
                name="state_alarm_open",
                condition=~Q(state=AlarmState.CLEARED),
            ),
            models.Index(
                fields=["settles_at"],
                name="state_alarm_settles",
                condition=Q(settles_at__isnull=False),
            ),
            models.Index(
                fields=["cleared_at"],
                name="state_alarm_cleared",
                condition=Q(state=AlarmState.CLEARED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} ({self.severity}, {self.state})"


class AlarmChange(models.Model):
    """One change of an alarm; partitioned by day, insert only.

    A migration creates the table and its indexes by SQL: (device, at), (alarm, at). The
    keys have no constraints, because partitions are dropped whole.
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
    alarm = models.ForeignKey(
        Alarm,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    at = models.DateTimeField()
    move = models.CharField(max_length=12, choices=AlarmMove)
    reason = models.CharField(max_length=16, choices=AlarmReason)
    code = models.CharField(max_length=64)
    severity = models.CharField(max_length=8, choices=Severity)
    count = models.PositiveIntegerField()
    message = models.TextField(blank=True)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )

    class Meta:
        db_table = "state_alarmchange"

    def __str__(self) -> str:
        return f"{self.at:%F %T} UTC {self.code} {self.move}"


class EventOrder(models.Model):
    """The newest event of each code, by the device's own count; one row a device.

    The row is created by the first event with boot and seq. It is needed even without
    an alarm: a raise may arrive after its clear.
    """

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    words = models.JSONField(default=dict)  # {code: [boot, seq]}, bounded

    def __str__(self) -> str:
        return f"{self.device_id}: {len(self.words)} codes"
