"""Outbox and state of the index; both can be rebuilt."""

from django.db import models
from django.db.models.functions import Now

from fleet.choices import OutboxLane


class Outbox(models.Model):
    """A device whose document may have changed; written by database triggers."""

    device_id = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now())
    lane = models.PositiveSmallIntegerField(
        choices=OutboxLane, default=OutboxLane.SINGLE, db_default=OutboxLane.SINGLE
    )

    class Meta:
        indexes = [
            # Read past hundreds of thousands of the other lane's rows.
            models.Index(
                fields=["id"],
                condition=models.Q(lane=OutboxLane.SINGLE),
                name="fleet_outbox_single",
            )
        ]

    def __str__(self) -> str:
        return f"{self.device_id} at {self.at:%F %T}"


class IndexState(models.Model):
    """The only row about the index: the generation to search, and its progress."""

    generation = models.CharField(max_length=100, blank=True)
    documents = models.BigIntegerField(default=0)  # when the generation was built
    rebuilt_at = models.DateTimeField(null=True)
    # A person requests a rebuild here; the indexer that owns the writer lock does it.
    rebuild_requested_at = models.DateTimeField(null=True)
    rebuild_done = models.BigIntegerField(default=0)  # devices, of the running rebuild
    rebuild_total = models.BigIntegerField(default=0)
    drained_outbox_id = models.BigIntegerField(default=0)
    # No change up to this one waits: the age of the oldest is read from here.
    emptied_outbox_id = models.BigIntegerField(default=0, db_default=0)
    drained_at = models.DateTimeField(null=True)
    # Raised by each indexer that begins: earlier ones write nothing more.
    epoch = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "index state"

    def __str__(self) -> str:
        return self.generation or "no index yet"
