"""Presence: the evidence about a connection, the verdict, and its changes."""

from django.db import models

from registry.models import Device, Tenant
from state.choices import Cause, Connectivity, Departure


class Presence(models.Model):
    """What was heard from a device, and the verdict from it; one row a device.

    A device that was never heard has no row. The row has more than 15 columns, because
    one lock must cover all that a judgment reads and writes. A heartbeat changes no
    indexed column, so its update stays in the page (HOT).
    """

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )

    # Evidence. Times are arrivals at the platform, never the device's clock.
    last_seen_at = models.DateTimeField(null=True)  # any message, valid or not
    last_activity_at = models.DateTimeField(null=True)  # a valid message
    session = models.CharField(max_length=64, blank=True)
    # Sequence number of the birth that began the session: an older birth that another
    # bridge delivers late does not bring the old session back.
    session_seq = models.BigIntegerField(null=True)
    boot = models.BigIntegerField(null=True)
    seq_high = models.BigIntegerField(null=True)
    # Bit n: seq_high - n was ingested. 64 bits, stored as a signed number.
    seq_window = models.BigIntegerField(default=0)
    repeats = models.BigIntegerField(default=0)
    heartbeat_seconds = models.PositiveIntegerField(null=True)  # else the product's
    sleeping_until = models.DateTimeField(null=True)
    left_how = models.CharField(
        max_length=16, choices=Departure, default=Departure.NONE, blank=True
    )
    left_session = models.CharField(max_length=64, blank=True)
    left_at = models.DateTimeField(null=True)
    # How a session other than the current one ended: an old one, or one whose birth has
    # not arrived yet.
    waiting_how = models.CharField(
        max_length=16, choices=Departure, db_default=Departure.NONE, blank=True
    )
    waiting_session = models.CharField(max_length=64, db_default="", blank=True)
    waiting_at = models.DateTimeField(null=True)
    clock_skew = models.BooleanField(default=False)

    # Verdict.
    connectivity = models.CharField(
        max_length=8, choices=Connectivity, default=Connectivity.OFFLINE
    )
    cause = models.CharField(
        max_length=24, choices=Cause, default=Cause.NEVER_CONNECTED, blank=True
    )
    since = models.DateTimeField()
    # When time alone may change the verdict. Heartbeats do not move it: the sweep then
    # reads the evidence and sets the next time.
    next_change_at = models.DateTimeField(null=True)
    disconnects_72h = models.PositiveIntegerField(default=0)
    # When the oldest counted disconnect leaves the 72 hours.
    recount_at = models.DateTimeField(null=True)
    # Last activity for the fleet index: the hour while online, else the exact time.
    activity_bucket = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_change_at"],
                name="state_presence_due",
                condition=models.Q(next_change_at__isnull=False),
            ),
            # For a random sample of a tenant's devices without reading all of them.
            models.Index(
                "tenant",
                models.Func("device", function="hashint8"),
                name="state_presence_sample",
            ),
            # The evidence of incidents is read every few seconds, and few are in it.
            models.Index(
                fields=["device"],
                name="state_presence_troubled",
                condition=models.Q(
                    connectivity__in=[Connectivity.OFFLINE, Connectivity.STALE]
                )
                & ~models.Q(
                    cause__in=[Cause.NEVER_CONNECTED, Cause.GOODBYE, Cause.NONE]
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.connectivity} {self.cause}".strip()


class ConnectivityTransition(models.Model):
    """One change of connectivity or of its cause; partitioned by day.

    The first migration creates the table and its indexes by SQL: (device, at),
    (device, at) of the abnormal ones, and (at). The keys have no constraints, because
    partitions are dropped whole.
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
    moved_from = models.CharField(max_length=8, choices=Connectivity)
    moved_to = models.CharField(max_length=8, choices=Connectivity)
    cause = models.CharField(max_length=24, choices=Cause, blank=True)
    # The cause before; empty also in rows from before it was kept.
    cause_from = models.CharField(
        max_length=24, choices=Cause, db_default=Cause.NONE, blank=True
    )
    session = models.CharField(max_length=64, blank=True)
    is_abnormal = models.BooleanField(default=False)

    class Meta:
        db_table = "state_connectivitytransition"

    def __str__(self) -> str:
        return f"{self.at:%F %T} UTC {self.moved_from} → {self.moved_to} {self.cause}"


class ExpectedDisconnect(models.Model):
    """A device that the platform disconnects (by a reboot): that is not abnormal."""

    device = models.OneToOneField(
        Device, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    from_at = models.DateTimeField()
    until = models.DateTimeField()
    reason = models.CharField(max_length=200)

    def __str__(self) -> str:
        return f"{self.device_id} until {self.until:%F %T} UTC: {self.reason}"
