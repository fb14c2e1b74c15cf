"""Since when we listen, and how well."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet

from registry.choices import Adapter
from state.models import ListeningSlot
from state.models.ingest import HTTP_DOOR

# A bridge beats every second; what is older is an outage, not a slow moment.
BLIND_AFTER = timedelta(seconds=5)
RATE_IS_FRESH = timedelta(seconds=10)
# Every batch of messages asks both.
_SPANS = "SELECT slot, from_at, to_at FROM state_blindspan ORDER BY from_at, to_at"
_BLIND_SINCE = f"""
    SELECT min(caught_up_at) FILTER (WHERE slot <> {HTTP_DOOR}),
        min(caught_up_at) FILTER (WHERE slot = {HTTP_DOOR})
    FROM state_listeningslot WHERE caught_up_at < %s
"""


@dataclass(frozen=True, slots=True)
class IngestFigures:
    """Messages per second, and how far behind the worst slot is."""

    rate: float
    lag_seconds: float | None


Spans = tuple[tuple[datetime, datetime], ...]
Door = str  # by its adapter


def blind_spans_of_doors() -> dict[Door, Spans]:
    """Return the past spans without listening of each door, joined, by time.

    Of the bridges one unread slot is enough.
    """
    joined: dict[Door, list[tuple[datetime, datetime]]] = {door: [] for door in Adapter}
    with connection.cursor() as cursor:
        cursor.execute(_SPANS)
        rows = cursor.fetchall()
    for slot, from_at, to_at in rows:
        spans = joined[Adapter.HTTP if slot == HTTP_DOOR else Adapter.MQTT]
        if spans and from_at <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], to_at))
        else:
            spans.append((from_at, to_at))
    return {door: tuple(spans) for door, spans in joined.items()}


def doors_blind_since(now: datetime) -> dict[Door, datetime | None]:
    """Return since when each door is shut, or None while it is open.

    Every slot carries a share of every device, so one unread slot blinds the bridges
    for all; the web hears all that speaks HTTP, or nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BLIND_SINCE, [now - BLIND_AFTER])
        mqtt, http = cursor.fetchone()
    return {Adapter.MQTT: mqtt, Adapter.HTTP: http}


def blind_spans(door: Door = Adapter.MQTT) -> Spans:
    """Return the past spans without listening at one door, joined, by time."""
    return blind_spans_of_doors()[door]


def blind_since(now: datetime, door: Door = Adapter.MQTT) -> datetime | None:
    """Return since when one door is shut, or None while it is open."""
    return doors_blind_since(now)[door]


def ingest_figures(now: datetime) -> IngestFigures:
    """Return the platform page's rate and lag; lag is None before any bridge ran."""
    rate, lags = 0.0, []
    for slot in list_slots():
        is_fresh = now - slot.beat_at < RATE_IS_FRESH
        rate += slot.rate if is_fresh else 0.0
        behind = (now - slot.caught_up_at).total_seconds()
        lags.append(slot.lag_seconds if behind < BLIND_AFTER.seconds else behind)
    return IngestFigures(rate, max(lags, default=None))


def beats_of_slots() -> dict[int, datetime]:
    """Return when each slot of the bridges was last alive."""
    return dict(_bridges().values_list("slot", "beat_at"))


def list_slots() -> list[ListeningSlot]:
    """Return all slots of the bridges, for the platform page."""
    return list(_bridges().order_by("slot"))


def _bridges() -> QuerySet[ListeningSlot]:
    return ListeningSlot.objects.exclude(slot=HTTP_DOOR)
