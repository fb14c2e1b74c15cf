"""What the attention inbox asked for, as work for people."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from state.choices import AttentionKind, AttentionObject


class AttentionItem(PublicIdModel):
    """One episode of trouble: work for a person until it is over or somebody closes it.

    It keeps the names that its object had then: a list of many reads no other table.
    """

    tenant = models.ForeignKey(
        "registry.Tenant", on_delete=models.PROTECT, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=16, choices=AttentionKind)
    object_kind = models.CharField(max_length=16, choices=AttentionObject)
    object_id = models.UUIDField()  # its public id
    episode = models.CharField(max_length=40)
    object_name = models.CharField(max_length=200)
    # Null: it is about many devices.
    device = models.ForeignKey(
        "registry.Device",
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    uid = models.CharField(max_length=64, blank=True)
    reason = models.TextField()
    score = models.PositiveSmallIntegerField()
    score_reasons = models.JSONField(default=list)
    opened_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True)
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )
    closed_at = models.DateTimeField(null=True)
    closed_by = models.ForeignKey(  # null: by itself
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
    )

    # The incident that it is part of: then it is no work of its own.
    incident = models.ForeignKey(
        "console.Incident", on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["object_id", "kind", "episode"],
                name="console_attention_once_per_episode",
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "-score", "-id"],
                name="console_attention_open",
                condition=Q(closed_at=None),
            ),
            models.Index(fields=["tenant", "-id"], name="console_attention_by_tenant"),
            models.Index(
                fields=["closed_at"],
                name="console_attention_closed",
                condition=Q(closed_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title

    @property
    def title(self) -> str:
        """What happened, in one sentence."""
        on = f" on {self.uid}" if self.uid else ""
        return f"{self.object_name}{on}: {self.reason}"
