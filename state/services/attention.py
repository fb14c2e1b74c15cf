"""The attention inbox: ask for a person, say that it is over, hand entries over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from iotplatform.common import bulk_sql
from state.choices import AttentionKind, AttentionObject
from state.models import AttentionEntry

# So long an episode that is told again is recognised.
KEPT = timedelta(days=90)

INSERT = (
    bulk_sql.insert_rows(
        AttentionEntry,
        "tenant_id",
        "kind",
        "object_kind",
        "object_id",
        "episode",
        "device_id",
        "reason",
        "at",
    )
    + " ON CONFLICT DO NOTHING"
)
# The order of keys, so that two batches cannot wait for each other.
END = """
    UPDATE state_attentionentry SET over_at = %s, is_taken = false
    WHERE id = ANY(ARRAY(
        SELECT id FROM state_attentionentry
        WHERE object_id = ANY(%s::uuid[]) AND over_at IS NULL
            AND (%s::text[] IS NULL OR episode = ANY(%s::text[]))
        ORDER BY id FOR UPDATE
    ))
"""


@dataclass(frozen=True)
class Attention:
    """What a person must attend to, in the order of the table's columns."""

    tenant_id: int
    kind: AttentionKind
    object_kind: AttentionObject
    object_id: UUID
    episode: str
    device_id: int | None
    reason: str
    at: datetime


def ask_for_attention(asked: Sequence[Attention]) -> None:
    """Enter them into the inbox, in the caller's transaction and one statement.

    An episode that is in it already changes nothing.
    """
    if asked:
        rows = [astuple(each) for each in asked]
        bulk_sql.run(INSERT, bulk_sql.columns_of(rows, 8))


def end_attention(
    object_ids: Collection[UUID],
    *,
    at: datetime,
    episodes: Collection[str] | None = None,
) -> None:
    """Say that nobody needs to attend to these objects any more, in one statement.

    With ``episodes``, only to those.
    """
    if object_ids:
        only = None if episodes is None else list(episodes)
        bulk_sql.run(END, [at, list(object_ids), only, only])


def lock_new_entries_across_tenants(*, limit: int) -> list[AttentionEntry]:
    """Lock what is new in the inbox; another taker's rows are left to it.

    An entry is new once when it comes, and once more when it is over.
    """
    rows = AttentionEntry.objects.filter(is_taken=False).order_by("pk")
    return list(rows.select_for_update(skip_locked=True, no_key=True)[:limit])


def mark_taken(entries: Collection[AttentionEntry]) -> None:
    """Record that these locked entries were taken, in the taker's transaction."""
    ids = [entry.pk for entry in entries]
    AttentionEntry.objects.filter(pk__in=ids).update(is_taken=True)


def forget_entries_across_tenants(*, now: datetime, limit: int) -> int:
    """Delete a batch of entries that were over long ago; return how many."""
    old = AttentionEntry.objects.filter(over_at__lt=now - KEPT, is_taken=True)
    batch = list(old.order_by("over_at").values_list("pk", flat=True)[:limit])
    AttentionEntry.objects.filter(pk__in=batch).delete()
    return len(batch)
