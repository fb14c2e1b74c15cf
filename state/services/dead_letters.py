"""Dead letters (rejected messages): stored for people, limited, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from iotplatform.common import bulk_sql
from iotplatform.common.ids import UID, new_public_id
from iotplatform.common.messages import MAX_PAYLOAD_BYTES
from iotplatform.common.storable import storable
from state.models import DeadLetter, DeadLetterCount

if TYPE_CHECKING:
    from registry.models import User
    from state.choices import ReplayOutcome

KEPT = 10_000  # dead letters of all tenants together
KEPT_BYTES = 256 * 1024 * 1024  # of their payloads, so that they never fill the disk
KEPT_FOR = timedelta(days=30)  # older ones are not replayed in practice
# Per sender, enforced at once and not by the sweep: a device that repeats a mistake a
# thousand times a second must neither fill the disk nor displace others' letters.
KEPT_OF_SENDER = 200
KEPT_BYTES_OF_SENDER = 4 * 1024 * 1024
# Per letter: as much as the protocol allows, so that every letter can be replayed.
KEPT_PAYLOAD = MAX_PAYLOAD_BYTES
KEPT_TEXT = 500
DELETED_AT_ONCE = 5_000

# ARRAY makes both rank once: after a quiet time the planner expects no row at all, and
# would rank a thousand letters again for each of them.
_TRIM_SENDERS = """
    DELETE FROM state_deadletter WHERE id = ANY(ARRAY(
        SELECT id FROM state_deadletter WHERE id = ANY(ARRAY(
            SELECT id FROM (
                SELECT id, row_number() OVER newest AS place,
                    sum(least(payload_bytes, %s)) OVER newest AS bytes
                FROM state_deadletter WHERE sender = ANY(%s)
                WINDOW newest AS (PARTITION BY sender ORDER BY id DESC)
            ) r WHERE place > %s OR bytes > %s))
        FOR UPDATE SKIP LOCKED))
"""
# The newest letter of each sender ranks before the second newest of any sender: if
# there are too many, the senders with most letters lose theirs first.
_TRIM = """
    DELETE FROM state_deadletter WHERE id = ANY(ARRAY(
        SELECT id FROM (
            SELECT id, at, row_number() OVER fair AS place,
                sum(bytes) OVER fair AS bytes
            FROM (
                SELECT id, at, least(payload_bytes, %s) AS bytes, row_number() OVER (
                    PARTITION BY sender ORDER BY id DESC) AS turn
                FROM state_deadletter) of_sender
            WINDOW fair AS (ORDER BY turn, id DESC)
        ) r WHERE place > %s OR bytes > %s OR at < %s
        ORDER BY id LIMIT %s))
"""


@dataclass(frozen=True, slots=True)
class DeadLetterDraft:
    """A rejected message, and the reason."""

    topic: str
    adapter: str
    reason: str
    detail: str
    tenant_id: int | None = None
    device_id: int | None = None
    payload: bytes = b""
    uid: str = ""

    @property
    def sender(self) -> str:
        """Who published it: the gateway of a relayed message, else the device."""
        parts = self.topic.split("/")
        is_relayed = len(parts) > 4 and parts[3] == "child"
        sender = parts[2] if is_relayed else self.uid
        return sender if UID.fullmatch(sender) else ""


def record_dead_letters(drafts: Sequence[DeadLetterDraft], *, now: datetime) -> None:
    """Store and count the rejected messages, in three statements.

    Only the newest of each sender are stored; all are counted.
    """
    if not drafts:
        return
    DeadLetter.objects.bulk_create(
        DeadLetter(
            public_id=new_public_id(),
            tenant_id=draft.tenant_id,
            at=now,
            reason=draft.reason,
            detail=_kept(draft.detail),
            uid=_kept(draft.uid)[:64],
            sender=draft.sender,
            topic=_kept(draft.topic),
            payload=draft.payload[:KEPT_PAYLOAD],
            payload_bytes=len(draft.payload),
            adapter=draft.adapter,
        )
        for draft in _newest_of_each(drafts)
    )
    _trim_senders({draft.sender for draft in drafts})
    counts = sorted(Counter(draft.reason for draft in drafts).items())
    bulk_sql.run(
        bulk_sql.insert_rows(DeadLetterCount, "reason", "total")
        + " ON CONFLICT (reason) DO UPDATE SET total = t.total + excluded.total",
        bulk_sql.columns_of(counts, 2),
    )


def trim_dead_letters_across_tenants(
    *, now: datetime, keep: int = KEPT, keep_bytes: int = KEPT_BYTES
) -> int:
    """Delete old letters and those above the limits; return how many.

    Senders with most letters lose theirs first.
    """
    bounds = [keep, keep_bytes, now - KEPT_FOR, DELETED_AT_ONCE]
    return bulk_sql.run(_TRIM, [KEPT_PAYLOAD, *bounds])


def lock_letter(pk: int) -> DeadLetter | None:
    """Lock a letter until the end of the transaction; None if it was deleted."""
    return DeadLetter.objects.select_for_update().filter(pk=pk).first()


def mark_replayed(
    letter: DeadLetter, outcome: ReplayOutcome, detail: str, *, by: User, now: datetime
) -> None:
    """Record the result of replaying a letter."""
    letter.outcome, letter.outcome_detail = outcome, _kept(detail)
    letter.replayed_at, letter.replayed_by = now, by
    letter.save(
        update_fields=["outcome", "outcome_detail", "replayed_at", "replayed_by"]
    )


def _newest_of_each(drafts: Sequence[DeadLetterDraft]) -> list[DeadLetterDraft]:
    """Leave out the older drafts of a sender that would be deleted at once."""
    found: list[DeadLetterDraft] = []
    many: Counter[str] = Counter()
    much: Counter[str] = Counter()
    for draft in reversed(drafts):
        sender = draft.sender
        many[sender] += 1
        much[sender] += min(len(draft.payload), KEPT_PAYLOAD)
        if many[sender] <= KEPT_OF_SENDER and much[sender] <= KEPT_BYTES_OF_SENDER:
            found.append(draft)
    return found[::-1]


def _trim_senders(senders: Collection[str]) -> None:
    bounds = [KEPT_OF_SENDER, KEPT_BYTES_OF_SENDER]
    bulk_sql.run(_TRIM_SENDERS, [KEPT_PAYLOAD, sorted(senders), *bounds])


def _kept(text: str) -> str:
    return storable(text[:KEPT_TEXT])[:KEPT_TEXT]
