"""Messages of rules to people and chat rooms: claimed, sent, and recorded.

The messages of one target are sent in their order, by one worker at a time, and none of
them before an earlier one that failed. A worker that dies leaves its claims to the next
one: a message may arrive twice, with the same id, and never not at all. Messages to the
webhooks of rules go the way of all webhooks.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.db.models import Count, Min

from console.choices import DeliveryStatus, TargetKind
from console.models import Notification, NotificationRule, WebhookHost
from console.services.notifications.chat import decrypt_room, send_chat
from console.services.notifications.mail import send_mail
from console.services.notifications.plan import key_of_target
from console.services.notifications.texts import Text, text_of
from console.services.webhooks.attempts import ATTEMPT_FIELDS, record_attempt
from console.services.webhooks.sender import Sent
from iotplatform.common import bulk_sql
from registry.selectors.people import whole_members_across_tenants

log = logging.getLogger(__name__)

THREADS = 8
TARGETS = THREADS  # at a time: each has a thread at once
BATCH = 1_000
LEASE = timedelta(seconds=90)
# No message is begun after this; a try lasts half a minute at most.
BEGIN_WITHIN_SECONDS = 45
# More to one target within a minute become a digest.
MOST_A_MINUTE = 10
MINUTE = timedelta(seconds=60)

_LOCK = "SELECT pg_advisory_xact_lock(hashtext('console.claim_notifications'))"
_CLAIM = """
    UPDATE console_notification t SET claim_token = %s, claimed_until = %s
    WHERE t.id IN (
        SELECT n.id FROM console_notification n
        WHERE n.webhook_id IS NULL AND n.status = 'pending' AND n.due_at <= %s
            AND n.order_key IN (
                SELECT p.order_key FROM console_notification p
                WHERE p.webhook_id IS NULL AND p.status = 'pending'
                GROUP BY p.order_key
                HAVING min(p.due_at) <= %s
                    AND bool_and(p.claimed_until IS NULL OR p.claimed_until < %s)
                    -- One that failed is tried before all others.
                    AND NOT bool_or(p.attempts > 0 AND p.due_at > %s)
                ORDER BY min(p.due_at) LIMIT %s
            )
        ORDER BY n.id LIMIT %s FOR UPDATE
    )
    RETURNING t.id
"""


@dataclass(frozen=True)
class Outcome:
    """Messages that were sent as one, and what came of it."""

    rows: Sequence[Notification]
    sent: Sent


@dataclass
class Bundle:
    """What is due to one target."""

    rows: Sequence[Notification]
    address: str = ""  # of the mail, or of the chat room
    refusal: Sent | None = None  # it cannot be sent at all
    wait_until: datetime | None = None  # it has had enough for this minute
    texts: list[tuple[Sequence[Notification], Text]] = field(default_factory=list)

    @property
    def rule(self) -> NotificationRule:
        rule = self.rows[0].rule
        assert rule is not None  # its key is that of a target of a rule
        return rule

    @property
    def target(self) -> Mapping[str, Any] | None:
        key = self.rows[0].order_key
        return next((t for t in self.rule.targets if key_of_target(t) == key), None)


def send_due_across_tenants(*, now: datetime) -> int:
    """Send what is due to a few targets; return how many messages were looked at."""
    token = uuid4()
    rows = _claim(token, now)
    if not rows:
        return 0
    bundles = _bundles(rows)
    _find_addresses(bundles)
    _find_texts(bundles, now)
    listed = set(WebhookHost.objects.values_list("host", flat=True))
    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(partial(_send, listed=listed), bundles))
    outcomes = [outcome for each in found for outcome in each]
    _record(bundles, outcomes, token, now)
    return len(rows)


def _claim(token: UUID, now: datetime) -> list[Notification]:
    values = [token, now + LEASE, now, now, now, now, TARGETS, BATCH]
    with transaction.atomic():
        bulk_sql.fetch(_LOCK)  # else two could take messages of one target
        ids = [pk for (pk,) in bulk_sql.fetch(_CLAIM, values)]
    rows = Notification.objects.filter(pk__in=ids).order_by("pk")
    return list(rows.select_related("rule", "event", "tenant", "incident"))


def _bundles(rows: Sequence[Notification]) -> list[Bundle]:
    by_key: dict[str, list[Notification]] = defaultdict(list)
    for row in rows:
        by_key[row.order_key].append(row)
    return [Bundle(each) for each in by_key.values()]


def _find_addresses(bundles: Sequence[Bundle]) -> None:
    people = [
        (each.rule.tenant_id, each.target["user_id"])
        for each in bundles
        if each.target is not None and each.target["kind"] == TargetKind.USER
    ]
    mails = whole_members_across_tenants(people) if people else {}
    for each in bundles:
        target = each.target
        if target is None:
            each.refusal = Sent(error="the rule has no such target", is_final=True)
        elif target["kind"] == TargetKind.USER:
            each.address = mails.get((each.rule.tenant_id, target["user_id"]), "")
            if not each.address:
                error = "no member of the whole tenant with a mail address any more"
                each.refusal = Sent(error=error, is_final=True)
        elif target["kind"] == TargetKind.MAIL:
            each.address = target["name"]
        else:
            _find_room(each, target)


def _find_room(bundle: Bundle, target: Mapping[str, Any]) -> None:
    try:
        bundle.address = decrypt_room(target["secret"])
    except InvalidToken:
        error = "its address cannot be read: SECRET_KEY has changed"
        bundle.refusal = Sent(error=error)


def _find_texts(bundles: Sequence[Bundle], now: datetime) -> None:
    """Decide what is sent by itself, what as a digest, and what a minute later."""
    rows = Notification.objects.filter(
        order_key__in=[each.rows[0].order_key for each in bundles],
        webhook=None,
        status=DeliveryStatus.DELIVERED,
        delivered_at__gt=now - MINUTE,
    )
    told = rows.values("order_key").annotate(n=Count("pk"), at=Min("delivered_at"))
    recent = {
        key: (number, since)
        for key, number, since in told.order_by().values_list("order_key", "n", "at")
    }
    for each in bundles:
        number, since = recent.get(each.rows[0].order_key, (0, now))
        if number >= MOST_A_MINUTE:
            each.wait_until = since + MINUTE
            continue
        too_many = number + len(each.rows) > MOST_A_MINUTE
        if too_many or each.rule.digest_minutes:
            each.texts = [(each.rows, text_of(each.rows))]
        else:
            each.texts = [([row], text_of([row])) for row in each.rows]


def _send(bundle: Bundle, *, listed: set[str]) -> list[Outcome]:
    """Send the messages of one target in their order, until one fails."""
    if bundle.refusal is not None:
        of = bundle.rows if bundle.refusal.is_final else bundle.rows[:1]
        return [Outcome(of, bundle.refusal)]
    outcomes: list[Outcome] = []
    end = monotonic() + BEGIN_WITHIN_SECONDS
    for rows, text in bundle.texts:
        if monotonic() > end or (outcomes and not outcomes[-1].sent.is_delivered):
            break
        outcomes.append(Outcome(rows, _try(bundle, text, listed)))
    return outcomes


def _try(bundle: Bundle, text: Text, listed: set[str]) -> Sent:
    assert bundle.target is not None  # else it is refused
    try:
        if bundle.target["kind"] == TargetKind.CHAT:
            return send_chat(bundle.address, text, listed=listed)
        return send_mail(bundle.address, text)
    except Exception as error:
        # One message that the libraries choke on must not hold up all targets.
        log.exception("A notification to %s failed.", bundle.rows[0].target)
        return Sent(error=f"failed: {type(error).__name__}")


@transaction.atomic
def _record(
    bundles: Sequence[Bundle],
    outcomes: Sequence[Outcome],
    token: UUID,
    now: datetime,
) -> None:
    """Write what came of the messages whose claim is still ours."""
    ids = [row.pk for each in bundles for row in each.rows]
    rows = Notification.objects.filter(pk__in=ids, claim_token=token)
    locked = {row.pk: row for row in rows.order_by("pk").select_for_update()}
    tried: set[int] = set()
    waits = {b.rows[0].order_key: b.wait_until for b in bundles if b.wait_until}
    for outcome in outcomes:
        for row in outcome.rows:
            tried.add(row.pk)
            if (own := locked.get(row.pk)) is None:
                continue
            record_attempt(own, outcome.sent, now=now)
            if own.due_at is not None:
                waits[own.order_key] = own.due_at
    for row in locked.values():
        if row.pk not in tried:  # it waits behind a failed one, or for its minute
            row.claim_token = row.claimed_until = None
            row.due_at = waits.get(row.order_key, row.due_at)
    Notification.objects.bulk_update(locked.values(), ATTEMPT_FIELDS)
