"""The attention inbox: what a person must attend to, until the console has taken it."""

from django.db import models
from django.db.models import Q

from registry.models import Device, Tenant
from state.choices import AttentionKind, AttentionObject


class AttentionEntry(models.Model):
    """One episode of trouble with one object.

    It is written in the transaction of what happened. It stays after the console has
    taken it, so that an episode that is told twice is one entry.
    """

    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=16, choices=AttentionKind)
    object_kind = models.CharField(max_length=16, choices=AttentionObject)
    object_id = models.UUIDField()  # its public id
    # Which occurrence; the same object may need a person again later.
    episode = models.CharField(max_length=40)
    device = models.ForeignKey(
        Device,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    reason = models.TextField()  # a part of a sentence: "timed out: no result in time"
    at = models.DateTimeField()
    over_at = models.DateTimeField(null=True)  # nobody needs to attend to it any more
    is_taken = models.BooleanField(db_default=False, default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["object_id", "kind", "episode"],
                name="state_attention_once_per_episode",
            )
        ]
        indexes = [
            models.Index(
                fields=["id"],
                name="state_attention_to_take",
                condition=Q(is_taken=False),
            ),
            models.Index(
                fields=["over_at"],
                name="state_attention_over",
                condition=Q(over_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}: {self.reason}"
