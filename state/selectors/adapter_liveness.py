"""When each adapter listened, and how far ingest is behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import QuerySet

from registry.choices import Adapter
from state.models import ListeningSlot
from state.models.ingest import HTTP_SLOT

# A bridge sends a heartbeat every second; an older one means an outage.
BLIND_AFTER = timedelta(seconds=5)
RATE_IS_FRESH = timedelta(seconds=10)
# Both are read with every batch of messages.
_SPANS = "SELECT slot, from_at, to_at FROM state_blindspan ORDER BY from_at, to_at"
_BLIND_SINCE = f"""
    SELECT min(caught_up_at) FILTER (WHERE slot <> {HTTP_SLOT}),
        min(caught_up_at) FILTER (WHERE slot = {HTTP_SLOT})
    FROM state_listeningslot WHERE caught_up_at < %s
"""


@dataclass(frozen=True, slots=True)
class IngestFigures:
    """Messages per second, and how far behind the worst slot is."""

    rate: float
    lag_seconds: float | None


Spans = tuple[tuple[datetime, datetime], ...]
AdapterName = str  # a value of Adapter


def blind_spans_by_adapter() -> dict[AdapterName, Spans]:
    """Return the past blind spans of each adapter, merged, in order.

    MQTT is blind while one slot of the bridges is not read.
    """
    joined: dict[AdapterName, list[tuple[datetime, datetime]]]
    joined = {adapter: [] for adapter in Adapter}
    with connection.cursor() as cursor:
        cursor.execute(_SPANS)
        rows = cursor.fetchall()
    for slot, from_at, to_at in rows:
        spans = joined[Adapter.HTTP if slot == HTTP_SLOT else Adapter.MQTT]
        if spans and from_at <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], to_at))
        else:
            spans.append((from_at, to_at))
    return {adapter: tuple(spans) for adapter, spans in joined.items()}


def blind_since_by_adapter(now: datetime) -> dict[AdapterName, datetime | None]:
    """Return since when each adapter is blind; None while it listens.

    Every slot carries a part of every device's messages, so one unread slot makes MQTT
    blind for all devices. HTTP is one slot: it hears every HTTP device, or none.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BLIND_SINCE, [now - BLIND_AFTER])
        mqtt, http = cursor.fetchone()
    return {Adapter.MQTT: mqtt, Adapter.HTTP: http}


def blind_spans(adapter: AdapterName = Adapter.MQTT) -> Spans:
    """Return the past blind spans of one adapter, merged, in order."""
    return blind_spans_by_adapter()[adapter]


def blind_since(now: datetime, adapter: AdapterName = Adapter.MQTT) -> datetime | None:
    """Return since when one adapter is blind; None while it listens."""
    return blind_since_by_adapter(now)[adapter]


def ingest_figures(
    now: datetime, slots: Iterable[ListeningSlot] | None = None
) -> IngestFigures:
    """Return rate and lag of the bridges; lag is None before any bridge ran.

    ``slots`` are those of ``list_slots``, where the caller has read them.
    """
    rate, lags = 0.0, []
    for slot in list_slots() if slots is None else slots:
        is_fresh = now - slot.beat_at < RATE_IS_FRESH
        rate += slot.rate if is_fresh else 0.0
        behind = (now - slot.caught_up_at).total_seconds()
        lags.append(slot.lag_seconds if behind < BLIND_AFTER.seconds else behind)
    return IngestFigures(rate, max(lags, default=None))


def beats_of_slots() -> dict[int, datetime]:
    """Return the time of the last heartbeat of each slot of the bridges."""
    return dict(_bridges().values_list("slot", "beat_at"))


def list_slots() -> list[ListeningSlot]:
    """Return the slots of the bridges, without the HTTP slot."""
    return list(_bridges().order_by("slot"))


def _bridges() -> QuerySet[ListeningSlot]:
    return ListeningSlot.objects.exclude(slot=HTTP_SLOT)
