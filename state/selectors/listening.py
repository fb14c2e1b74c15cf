"""Since when we listen, and how well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from state.models import ListeningSlot

# A bridge beats every second; what is older is an outage, not a slow moment.
BLIND_AFTER = timedelta(seconds=5)
RATE_IS_FRESH = timedelta(seconds=10)
# Every batch of messages asks both.
_SPANS = "SELECT from_at, to_at FROM state_blindspan ORDER BY from_at, to_at"
_BLIND_SINCE = (
    "SELECT min(caught_up_at) FROM state_listeningslot WHERE caught_up_at < %s"
)


@dataclass(frozen=True, slots=True)
class IngestFigures:
    """Messages per second, and how far behind the worst slot is."""

    rate: float
    lag_seconds: float | None


def blind_spans() -> tuple[tuple[datetime, datetime], ...]:
    """Return the past spans without listening on some slot, joined, by time."""
    joined: list[tuple[datetime, datetime]] = []
    with connection.cursor() as cursor:
        cursor.execute(_SPANS)
        spans = cursor.fetchall()
    for from_at, to_at in spans:
        if joined and from_at <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], to_at))
        else:
            joined.append((from_at, to_at))
    return tuple(joined)


def blind_since(now: datetime) -> datetime | None:
    """Return since when some slot is not read, or None while all are.

    Every slot carries a share of every device, so one unread slot blinds us for all.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BLIND_SINCE, [now - BLIND_AFTER])
        row = cursor.fetchone()
    return row[0] if row else None


def ingest_figures(now: datetime) -> IngestFigures:
    """Return the platform page's rate and lag; lag is None before any bridge ran."""
    rate, lags = 0.0, []
    for slot in ListeningSlot.objects.all():
        is_fresh = now - slot.beat_at < RATE_IS_FRESH
        rate += slot.rate if is_fresh else 0.0
        behind = (now - slot.caught_up_at).total_seconds()
        lags.append(slot.lag_seconds if behind < BLIND_AFTER.seconds else behind)
    return IngestFigures(rate, max(lags, default=None))


def beats_of_slots() -> dict[int, datetime]:
    """Return when each slot was last alive."""
    return dict(ListeningSlot.objects.values_list("slot", "beat_at"))


def list_slots() -> list[ListeningSlot]:
    """Return all slots, for the platform page."""
    return list(ListeningSlot.objects.order_by("slot"))
