"""How the platform itself listens: slots, blind spans, dead letters, sweeps."""

from datetime import datetime

from django.conf import settings
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.models import Tenant
from state.choices import ReplayOutcome

# The slot of the HTTP adapter; the slots of the MQTT bridges count from 1.
HTTP_SLOT = 0


class ListeningSlot(models.Model):
    """One part of the uplink: which process reads it, and how far it is read."""

    slot = models.PositiveSmallIntegerField(primary_key=True)
    # Empty until somebody has read it: before that the broker keeps nothing for us.
    owner = models.CharField(max_length=128, blank=True)
    beat_at = models.DateTimeField()
    # Everything that arrived before this time is committed. It falls behind while the
    # bridge, the broker or the database is away: the platform is blind since then.
    caught_up_at = models.DateTimeField()
    messages = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)
    retained = models.BigIntegerField(default=0)
    rate = models.FloatField(default=0)  # recent messages per second
    lag_seconds = models.FloatField(default=0)  # recent worst time, arrival to commit

    def __str__(self) -> str:
        return f"slot {self.slot}: {self.owner}"

    def is_read_since(self, at: datetime) -> bool:
        """Whether it has been read at a moment after ``at``, not only opened."""
        return bool(self.owner) and self.caught_up_at > at


class BlindSpan(models.Model):
    """A time in which the platform did not listen: silence in it means nothing."""

    slot = models.PositiveSmallIntegerField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["to_at"], name="state_blindspan_by_end")]

    def __str__(self) -> str:
        return f"slot {self.slot}: {self.from_at:%F %T} to {self.to_at:%F %T} UTC"


class DeadLetter(PublicIdModel):
    """A rejected message, the reason, and the result of its replay."""

    # Null if it belongs to no known device: then only platform administrators see it.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField()
    reason = models.CharField(max_length=32)
    detail = models.TextField(blank=True)
    uid = models.CharField(max_length=64, blank=True)
    # Who published it: the gateway of a relayed message, else the device. Only a
    # limited number of letters is kept of each sender.
    sender = models.CharField(max_length=64, blank=True)
    topic = models.TextField(blank=True)
    payload = models.BinaryField(default=bytes)  # the first 64 KiB
    payload_bytes = models.PositiveIntegerField(default=0)  # the full length
    adapter = models.CharField(max_length=16, blank=True)
    replayed_at = models.DateTimeField(null=True, blank=True)
    replayed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
    )
    outcome = models.CharField(max_length=8, choices=ReplayOutcome, blank=True)
    outcome_detail = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["sender", "-id"], name="state_deadletter_by_sender"),
            models.Index(fields=["tenant", "-id"], name="state_deadletter_by_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.reason}: {self.topic}"


class DeadLetterCount(models.Model):
    """How many messages were ever rejected, by reason; only ever grows."""

    reason = models.CharField(max_length=32, primary_key=True)
    total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.reason}: {self.total}"


class SweepMark(models.Model):
    """How far a sweep has got, so that the next run misses nothing."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.at:%F %T} UTC"
