"""The platform's own ears: how far each slot is read, and when it was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from iotplatform.common import bulk_sql
from state.models import BlindSpan, ListeningSlot
from state.models.ingest import HTTP_DOOR
from state.selectors.adapter_liveness import BLIND_AFTER

SPANS_KEPT = timedelta(days=7)  # silence that began earlier has long been judged
# Nobody was blind in the future; a clock that was ahead for a while says so.
_END_SPANS = """
    UPDATE state_blindspan SET from_at = least(from_at, %s), to_at = %s WHERE id IN (
        SELECT id FROM state_blindspan WHERE to_at > %s ORDER BY id FOR UPDATE
    )
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a bridge says of one slot of its own."""

    slot: int
    owner: str
    caught_up_at: datetime | None  # None: nothing read yet
    messages: int  # since its last beat
    batches: int
    retained: int
    rate: float
    lag_seconds: float


def open_slots(count: int, *, now: datetime) -> None:
    """Make the rows of slots 1 to ``count``: we expect to listen to them from now.

    Slots beyond stay, and are expected, until a bridge has drained them.
    """
    bulk_sql.run(
        "INSERT INTO state_listeningslot (slot, owner, beat_at, caught_up_at, messages,"
        " batches, retained, rate, lag_seconds)"
        " SELECT n, '', %s, %s, 0, 0, 0, 0, 0 FROM generate_series(1, %s) AS n"
        " ON CONFLICT (slot) DO NOTHING",
        [now, now, count],
    )


def beat_of_door(owner: str, *, now: datetime) -> None:
    """Record that the HTTP door is open: what it takes is committed as it answers."""
    bulk_sql.run(
        "INSERT INTO state_listeningslot (slot, owner, beat_at, caught_up_at, messages,"
        " batches, retained, rate, lag_seconds)"
        " VALUES (%s, '', %s, %s, 0, 0, 0, 0, 0) ON CONFLICT (slot) DO NOTHING",
        [HTTP_DOOR, now, now],
    )
    beat([Beat(HTTP_DOOR, owner, now, 0, 0, 0, 0.0, 0.0)], now=now)


@transaction.atomic
def beat(beats: Sequence[Beat], *, now: datetime) -> None:
    """Record liveness; a slot that was not read for too long leaves a blind span."""
    slots = {
        row.slot: row
        for row in ListeningSlot.objects.filter(slot__in=[b.slot for b in beats])
        .order_by("slot")
        .select_for_update()
    }
    spans = []
    is_set_back = False  # our clock, since the last beat
    for said in beats:
        row = slots.get(said.slot)
        if row is None:
            continue
        if row.caught_up_at > now + BLIND_AFTER:
            row.caught_up_at = now
            is_set_back = True
        read_up_to = max(said.caught_up_at or row.caught_up_at, row.caught_up_at)
        if read_up_to - row.caught_up_at > BLIND_AFTER:
            spans.append(
                BlindSpan(slot=row.slot, from_at=row.caught_up_at, to_at=read_up_to)
            )
        row.owner = said.owner
        row.beat_at = now
        row.caught_up_at = read_up_to
        row.messages += said.messages
        row.batches += said.batches
        row.retained += said.retained
        row.rate = said.rate
        row.lag_seconds = said.lag_seconds
        row.save()
    if is_set_back:
        bulk_sql.run(_END_SPANS, [now, now, now])
    BlindSpan.objects.bulk_create(spans)


def forget_slot(slot: int) -> None:
    """Expect nothing more of a slot that is drained."""
    ListeningSlot.objects.filter(slot=slot).delete()


def forget_old_spans(*, now: datetime) -> int:
    """Delete the blind spans that no open judgment looks at any more."""
    deleted, _ = BlindSpan.objects.filter(to_at__lt=now - SPANS_KEPT).delete()
    return deleted
