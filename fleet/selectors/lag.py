"""The current index, and how far it is behind the database."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from fleet.backends.choice import current_engine
from fleet.backends.engine import Reader
from fleet.models import IndexState, Outbox

# From where the outbox is not empty: before it may be many rows that are deleted, but
# kept for an old snapshot.
STATUS_SQL = """
    SELECT extract(epoch FROM clock_timestamp() - oldest.at)::float, state.generation
    FROM (VALUES (1)) AS one (id)
    LEFT JOIN fleet_indexstate state USING (id)
    LEFT JOIN LATERAL (
        SELECT at FROM fleet_outbox WHERE id > coalesce(state.emptied_outbox_id, 0)
        ORDER BY id LIMIT 1
    ) oldest ON true
"""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How old the oldest change is that is not searchable, and which index is kept."""

    lag_seconds: float
    generation: str | None  # None before the first one


def get_index_status() -> IndexStatus:
    with connection.cursor() as cursor:
        cursor.execute(STATUS_SQL)
        (lag, generation) = cursor.fetchone() or (None, None)
    return IndexStatus(round(max(0.0, lag or 0.0), 3), generation or None)


def index_lag_seconds() -> float:
    """Return the age of the oldest change that is not searchable yet, else 0."""
    return get_index_status().lag_seconds


def count_outbox() -> int:
    """Return how many changes wait to be indexed; one device may have several."""
    return Outbox.objects.count()


def current_reader(status: IndexStatus | None = None) -> Reader:
    """Return a reader of the index that is kept; raises IndexUnavailable.

    That is the one that the database names. An index on this machine's disk that is not
    it would give an old answer, and call it fresh.
    """
    return current_engine().reader((status or get_index_status()).generation)


def get_index_state() -> IndexState | None:
    """Return the row about the index; None if no index was ever built."""
    return IndexState.objects.filter(pk=1).first()
