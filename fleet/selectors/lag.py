"""The current index, and how far it is behind the database."""

from __future__ import annotations

from django.db import connection

from fleet.backends.choice import current_engine
from fleet.backends.engine import Reader
from fleet.models import IndexState, Outbox


def index_lag_seconds() -> float:
    """Return the age of the oldest change that is not searchable yet, else 0."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - at)::float"
            " FROM fleet_outbox ORDER BY id LIMIT 1"
        )
        row = cursor.fetchone()
    return round(max(0.0, row[0]), 3) if row else 0.0


def count_outbox() -> int:
    """Return how many changes wait to be indexed; one device may have several."""
    return Outbox.objects.count()


def current_reader() -> Reader:
    """Return a reader of the current index; raises IndexUnavailable."""
    return current_engine().reader()


def get_index_state() -> IndexState | None:
    """Return the row about the index; None if no index was ever built."""
    return IndexState.objects.filter(pk=1).first()
