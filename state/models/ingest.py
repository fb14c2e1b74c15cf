"""How well the platform itself listens: slots, blind spans, dead letters, sweeps."""

from django.conf import settings
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.models import Tenant
from state.choices import ReplayOutcome

# The row of the HTTP door, beside those of the bridges' slots, which count from 1.
HTTP_DOOR = 0


class ListeningSlot(models.Model):
    """One share of the uplink: who reads it, and up to when it has been read."""

    slot = models.PositiveSmallIntegerField(primary_key=True)
    owner = models.CharField(max_length=128, blank=True)
    beat_at = models.DateTimeField()
    # Everything that reached us before this is committed. Falls behind while the
    # bridge, the broker or the database is away: then we are blind since.
    caught_up_at = models.DateTimeField()
    messages = models.BigIntegerField(default=0)
    batches = models.BigIntegerField(default=0)
    retained = models.BigIntegerField(default=0)
    rate = models.FloatField(default=0)  # messages per second, lately
    lag_seconds = models.FloatField(default=0)  # arrival to commit, lately, the worst

    def __str__(self) -> str:
        return f"slot {self.slot}: {self.owner}"


class BlindSpan(models.Model):
    """A time in which we did not listen: silence in it says nothing."""

    slot = models.PositiveSmallIntegerField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["to_at"], name="state_blindspan_by_end")]

    def __str__(self) -> str:
        return f"slot {self.slot}: {self.from_at:%F %T} to {self.to_at:%F %T}"


class DeadLetter(PublicIdModel):
    """A message that could not be taken, why, and what came of taking it again."""

    # Null when no device of ours is concerned: then only the platform's people see it.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    at = models.DateTimeField()
    reason = models.CharField(max_length=32)
    detail = models.TextField(blank=True)
    uid = models.CharField(max_length=64, blank=True)
    # Who published it: the gateway of a relayed message, else the device. Each has a
    # bounded share of what is kept.
    sender = models.CharField(max_length=64, blank=True)
    topic = models.TextField(blank=True)
    payload = models.BinaryField(default=bytes)  # its first 64 KiB
    payload_bytes = models.PositiveIntegerField(default=0)  # how long it was
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
    """How many dead letters there ever were, by reason: never falls."""

    reason = models.CharField(max_length=32, primary_key=True)
    total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.reason}: {self.total}"


class SweepMark(models.Model):
    """Up to when a sweep has looked, so that one that was away misses nothing."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.at:%F %T}"
