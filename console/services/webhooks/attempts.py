"""What came of a try, and when the next one is: the same for every channel."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.choices import DeliveryStatus
from console.models import Notification
from console.services.webhooks.sender import Sent

# Seconds until the next try, after so many failed ones; the last one again and again.
BACKOFF = (5, 15, 60, 300, 900, 1_800, 3_600)
GIVEN_UP_AFTER = timedelta(days=3)
ATTEMPT_FIELDS = ["status", "attempts", "due_at", "claim_token", "claimed_until"]
ATTEMPT_FIELDS += ["response_status", "error", "delivered_at"]


def record_attempt(row: Notification, sent: Sent, *, now: datetime) -> None:
    """Write what came of a try into an unsaved row: its ``ATTEMPT_FIELDS``."""
    row.claim_token = row.claimed_until = None
    row.attempts += 1
    row.response_status, row.error = sent.status, sent.error[:300]
    first_due_at = max(row.created_at, row.tell_at or row.created_at)
    if sent.is_delivered:
        row.status, row.due_at = DeliveryStatus.DELIVERED, None
        row.delivered_at = now
    elif sent.is_final or now - first_due_at > GIVEN_UP_AFTER:
        row.status, row.due_at = DeliveryStatus.FAILED, None
    else:
        wait = BACKOFF[min(row.attempts, len(BACKOFF)) - 1]
        row.due_at = now + timedelta(seconds=wait)
