"""Messages to webhooks: claimed, sent outside of any transaction, and recorded.

Of one key, such as a device, only the oldest undelivered message is ever tried. A
worker that dies leaves its claims to the next one: a message may arrive twice, with the
same ``webhook-id``, and never not at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from cryptography.fernet import InvalidToken
from django.db import transaction

from console.models import Notification, Webhook, WebhookHost
from console.services.webhooks.addresses import RefusedAddress, read_url
from console.services.webhooks.attempts import ATTEMPT_FIELDS, record_attempt
from console.services.webhooks.sender import Message, Sent, send
from console.services.webhooks.signing import decrypt_secret
from iotplatform.common import bulk_sql

THREADS = 8
BATCH = 32
# Of one webhook in a batch: a slow receiver leaves threads to the others.
PER_WEBHOOK = 8
LEASE = timedelta(seconds=90)  # longer than a try can take

_CLAIM = """
    UPDATE console_notification t SET claim_token = %s, claimed_until = %s
    WHERE t.id IN (
        SELECT n.id FROM console_notification n WHERE n.id IN (
            SELECT head.id FROM console_webhook w CROSS JOIN LATERAL (
                SELECT p.id FROM console_notification p
                WHERE p.webhook_id = w.id AND p.status = 'pending' AND p.due_at <= %s
                    AND (p.claimed_until IS NULL OR p.claimed_until < %s)
                    AND NOT EXISTS (
                        SELECT FROM console_notification earlier
                        WHERE earlier.webhook_id = w.id AND earlier.status = 'pending'
                            AND earlier.order_key = p.order_key AND earlier.id < p.id
                    )
                ORDER BY p.due_at, p.id LIMIT %s
            ) head
            WHERE w.is_enabled AND (w.resumes_at IS NULL OR w.resumes_at <= %s)
            LIMIT %s
        )
        AND n.status = 'pending' AND (n.claimed_until IS NULL OR n.claimed_until < %s)
        ORDER BY n.id FOR UPDATE SKIP LOCKED
    )
    RETURNING t.id
"""
# What waits behind a failed message of the same key is not looked at before it.
_WAIT_BEHIND = """
    UPDATE console_notification n SET due_at = v.due_at
    FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[])
        AS v(webhook_id, order_key, due_at)
    WHERE n.webhook_id = v.webhook_id AND n.order_key = v.order_key
        AND n.status = 'pending' AND n.due_at < v.due_at
"""


@dataclass(frozen=True)
class Outcome:
    """A claimed message and what came of it."""

    row: Notification
    sent: Sent


def deliver_due_across_tenants(*, now: datetime) -> int:
    """Send a batch of due messages; return how many were tried."""
    token = uuid4()
    rows = _claim(token, now)
    if not rows:
        return 0
    messages = _messages(rows)
    with ThreadPoolExecutor(THREADS) as threads:
        sent = list(threads.map(_try, messages))
    _record(
        [Outcome(row, each) for row, each in zip(rows, sent, strict=True)], token, now
    )
    return len(rows)


def body_of(row: Notification) -> bytes:
    """Return the event as CloudEvents JSON; every try sends the same bytes."""
    event = row.event
    assert event is not None  # every message to a webhook has one
    document = {
        "specversion": "1.0",
        "id": str(event.public_id),
        "source": f"/tenants/{row.tenant.slug}",
        "type": event.type,
        "subject": event.subject,
        "time": event.at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "tenant": row.tenant.slug,
        "data": event.data,
    }
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _claim(token: UUID, now: datetime) -> list[Notification]:
    values = [token, now + LEASE, now, now, PER_WEBHOOK, now, BATCH, now]
    with transaction.atomic():
        ids = [pk for (pk,) in bulk_sql.fetch(_CLAIM, values)]
    rows = Notification.objects.filter(pk__in=ids).order_by("pk")
    return list(rows.select_related("webhook", "event", "tenant"))


def _messages(rows: Sequence[Notification]) -> list[Message | None]:
    """Return what is to be sent; None where the secret cannot be read any more."""
    listed = set(WebhookHost.objects.values_list("host", flat=True))
    return [_message(row, listed) for row in rows]


def _message(row: Notification, listed: set[str]) -> Message | None:
    webhook, event = row.webhook, row.event
    assert webhook is not None
    assert event is not None
    try:
        secret = decrypt_secret(webhook.secret)
        is_listed = read_url(webhook.url).place in listed
    except InvalidToken:
        return None
    except RefusedAddress:
        is_listed = False  # the sender refuses it, and says why
    return Message(webhook.url, is_listed, secret, str(event.public_id), body_of(row))


def _try(message: Message | None) -> Sent:
    if message is None:
        return Sent(error="its secret cannot be read: SECRET_KEY has changed")
    return send(message)


@transaction.atomic
def _record(outcomes: Sequence[Outcome], token: UUID, now: datetime) -> None:
    """Write what came of the messages whose claim is still ours."""
    rows = Notification.objects.filter(
        pk__in=[each.row.pk for each in outcomes], claim_token=token
    )
    locked = {row.pk: row for row in rows.order_by("pk").select_for_update()}
    waiting: list[tuple[Any, ...]] = []
    resumes: dict[int, datetime | None] = {}
    for each in outcomes:
        row = locked.get(each.row.pk)
        if row is None or row.webhook_id is None:
            continue
        record_attempt(row, each.sent, now=now)
        resumes[row.webhook_id] = row.due_at if each.sent.is_target_away else None
        if row.due_at is not None:
            waiting.append((row.webhook_id, row.order_key, row.due_at))
    Notification.objects.bulk_update(locked.values(), ATTEMPT_FIELDS)
    if waiting:
        bulk_sql.run(_WAIT_BEHIND, bulk_sql.columns_of(waiting, 3))
    webhooks = [Webhook(pk=pk, resumes_at=at) for pk, at in sorted(resumes.items())]
    Webhook.objects.bulk_update(webhooks, ["resumes_at"])
