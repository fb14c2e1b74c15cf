"""The index as it stands, and how far it is behind the truth."""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from fleet.backends.tantivy_index import Reader, readers
from fleet.models import IndexState, Outbox


def index_lag_seconds() -> float:
    """Return the age of the oldest change that is not searchable yet; 0 when none."""
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
    """Return the index as it is now; raises IndexUnavailable while there is none."""
    return readers.current(settings.INDEX_DIR)


def get_index_state() -> IndexState | None:
    """Return what is known about the index, if one was ever built."""
    return IndexState.objects.filter(pk=1).first()
