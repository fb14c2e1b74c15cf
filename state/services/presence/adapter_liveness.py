"""Record how far each slot is read, and the spans in which it was not read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from iotplatform.common import bulk_sql
from state.models import BlindSpan, ListeningSlot
from state.models.ingest import HTTP_SLOT
from state.selectors.adapter_liveness import BLIND_AFTER

SPANS_KEPT = timedelta(days=7)  # older silence has long been judged
# A blind span in the future comes from a clock that was ahead for a while.
_END_SPANS = """
    UPDATE state_blindspan SET from_at = least(from_at, %s), to_at = %s WHERE id IN (
        SELECT id FROM state_blindspan WHERE to_at > %s ORDER BY id FOR UPDATE
    )
"""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a bridge reports about one of its slots."""

    slot: int
    owner: str
    caught_up_at: datetime | None  # None: nothing read yet
    messages: int  # since the last beat
    batches: int
    retained: int
    rate: float
    lag_seconds: float


def open_slots(count: int, *, now: datetime) -> None:
    """Create the rows of slots 1 to ``count``; from now on they must be read.

    Slots above ``count`` stay, and must be read, until a bridge has drained them.
    """
    bulk_sql.run(
        "INSERT INTO state_listeningslot (slot, owner, beat_at, caught_up_at, messages,"
        " batches, retained, rate, lag_seconds)"
        " SELECT n, '', %s, %s, 0, 0, 0, 0, 0 FROM generate_series(1, %s) AS n"
        " ON CONFLICT (slot) DO NOTHING",
        [now, now, count],
    )


def record_http_heartbeat(owner: str, *, now: datetime) -> None:
    """Record that the HTTP adapter works; it commits messages before it answers."""
    bulk_sql.run(
        "INSERT INTO state_listeningslot (slot, owner, beat_at, caught_up_at, messages,"
        " batches, retained, rate, lag_seconds)"
        " VALUES (%s, '', %s, %s, 0, 0, 0, 0, 0) ON CONFLICT (slot) DO NOTHING",
        [HTTP_SLOT, now, now],
    )
    beat([Beat(HTTP_SLOT, owner, now, 0, 0, 0, 0.0, 0.0)], now=now)


@transaction.atomic
def beat(beats: Sequence[Beat], *, now: datetime) -> None:
    """Record liveness; a slot that was not read for too long gets a blind span."""
    slots = {
        row.slot: row
        for row in ListeningSlot.objects.filter(slot__in=[b.slot for b in beats])
        .order_by("slot")
        .select_for_update()
    }
    spans = []
    is_clock_set_back = False  # since the last beat
    for reported in beats:
        row = slots.get(reported.slot)
        if row is None:
            continue
        if row.caught_up_at > now + BLIND_AFTER:
            row.caught_up_at = now
            is_clock_set_back = True
        read_up_to = max(reported.caught_up_at or row.caught_up_at, row.caught_up_at)
        if read_up_to - row.caught_up_at > BLIND_AFTER:
            spans.append(
                BlindSpan(slot=row.slot, from_at=row.caught_up_at, to_at=read_up_to)
            )
        if reported.caught_up_at is not None:  # who cannot read it yet does not own it
            row.owner = reported.owner
        row.beat_at = now
        row.caught_up_at = read_up_to
        row.messages += reported.messages
        row.batches += reported.batches
        row.retained += reported.retained
        row.rate = reported.rate
        row.lag_seconds = reported.lag_seconds
        row.save()
    if is_clock_set_back:
        bulk_sql.run(_END_SPANS, [now, now, now])
    BlindSpan.objects.bulk_create(spans)


def forget_slot(slot: int) -> None:
    """Delete a drained slot, so that its silence makes nothing blind."""
    ListeningSlot.objects.filter(slot=slot).delete()


def forget_old_spans(*, now: datetime) -> int:
    """Delete the blind spans that no judgment needs any more."""
    deleted, _ = BlindSpan.objects.filter(to_at__lt=now - SPANS_KEPT).delete()
    return deleted
