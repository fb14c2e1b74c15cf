"""Messages sent again by a person, and old ones deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from console.choices import DeliveryStatus
from console.exceptions import WebhookRefused
from console.models import Notification, OutgoingEvent

KEPT = timedelta(days=30)  # events, and with them what was sent of them
BATCH = 1_000


@transaction.atomic
def replay_notification(row: Notification) -> Notification:
    """Send a message again, with its first id; raises WebhookRefused while it waits."""
    shown = ("tenant", "webhook", "rule", "incident", "event")
    rows = Notification.objects.select_related(*shown)
    locked = rows.select_for_update(of=("self",)).get(pk=row.pk)
    if locked.status == DeliveryStatus.PENDING:
        raise WebhookRefused("It has not been delivered yet, and is tried again.")
    # Its time to give up begins anew; what came later does not wait for it again.
    locked.status, locked.due_at = DeliveryStatus.PENDING, timezone.now()
    if locked.webhook_id is not None:  # else the key says to which target it goes
        locked.order_key = f"replay:{locked.pk}"
    locked.created_at = locked.due_at
    locked.attempts = 0
    locked.save(
        update_fields=["status", "due_at", "order_key", "created_at", "attempts"]
    )
    return locked


def forget_events_across_tenants(*, now: datetime) -> int:
    """Delete a batch of old events with their messages; return how many.

    Of an open incident it stays known who was told: nobody is told again.
    """
    needed = Notification.objects.filter(
        event=OuterRef("pk"), incident__isnull=False, incident__resolved_at=None
    )
    old = OutgoingEvent.objects.filter(~Exists(needed), written_at__lt=now - KEPT)
    batch = list(old.order_by("written_at").values_list("pk", flat=True)[:BATCH])
    OutgoingEvent.objects.filter(pk__in=batch).delete()
    return len(batch)
