"""Messages that could not be taken: kept for people to see, bounded, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from iotplatform.common.ids import new_public_id
from state.models import DeadLetter
from state.services import bulk

KEPT = 10_000  # newest dead letters that stay, of all tenants together
# Of each: enough to see what a device sends, too little to fill a disk with.
KEPT_BYTES = 1_024
KEPT_TEXT = 500
DELETED_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class DeadLetterDraft:
    """A message that is not taken, and why."""

    topic: str
    adapter: str
    reason: str
    detail: str
    tenant_id: int | None = None
    device_id: int | None = None
    payload: bytes = b""
    uid: str = ""


def record_dead_letters(drafts: Sequence[DeadLetterDraft], *, now: datetime) -> None:
    """Keep and count them, in two statements."""
    if not drafts:
        return
    DeadLetter.objects.bulk_create(
        DeadLetter(
            public_id=new_public_id(),
            tenant_id=draft.tenant_id,
            at=now,
            reason=draft.reason,
            detail=_storable(draft.detail),
            uid=draft.uid[:64].replace("\0", "�"),
            topic=_storable(draft.topic),
            payload=draft.payload[:KEPT_BYTES],
            payload_bytes=len(draft.payload),
            adapter=draft.adapter,
        )
        for draft in drafts
    )
    counts = sorted(Counter(draft.reason for draft in drafts).items())
    bulk.run(
        "INSERT INTO state_deadlettercount AS c (reason, total)"
        " SELECT * FROM unnest(%s::text[], %s::bigint[])"
        " ON CONFLICT (reason) DO UPDATE SET total = c.total + excluded.total",
        bulk.columns_of(counts, 2),
    )


def trim_dead_letters_across_tenants(*, keep: int = KEPT) -> int:
    """Delete the oldest beyond the newest ``keep``; return how many."""
    return bulk.run(
        "DELETE FROM state_deadletter WHERE id IN (SELECT id FROM state_deadletter"
        " WHERE id <= (SELECT id FROM state_deadletter ORDER BY id DESC"
        " OFFSET %s LIMIT 1) ORDER BY id LIMIT %s)",
        [keep, DELETED_AT_ONCE],
    )


def _storable(text: str) -> str:
    """Cut a text, and mark what PostgreSQL cannot store (NUL, lone surrogates)."""
    clean = text[:KEPT_TEXT].encode("utf-8", "replace").decode()
    return clean.replace("\0", "�")
