"""The current index, and how far it is behind the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from fleet.backends.choice import current_engine
from fleet.backends.engine import Reader
from fleet.models import IndexState
from iotplatform.common import bulk_sql
from state.models import ListeningSlot
from state.models.ingest import HTTP_SLOT

# From where the outbox is not empty: before it may be many rows that are deleted, but
# kept for an old snapshot.
STATUS_SQL = """
    SELECT extract(epoch FROM clock_timestamp() - oldest.at)::float AS lag,
        state.generation, state.documents, state.rebuilt_at
    FROM (VALUES (1)) AS one (id)
    LEFT JOIN fleet_indexstate state USING (id)
    LEFT JOIN LATERAL (
        SELECT at FROM fleet_outbox WHERE id > coalesce(state.emptied_outbox_id, 0)
        ORDER BY id LIMIT 1
    ) oldest ON true
"""
_SLOT_COLUMNS = [field.column for field in ListeningSlot._meta.concrete_fields]
_STATUS_AND_SLOTS_SQL = f"""
    SELECT status.*, {", ".join(f"l.{column}" for column in _SLOT_COLUMNS)}
    FROM ({STATUS_SQL}) status
    LEFT JOIN state_listeningslot l ON l.slot <> {HTTP_SLOT} ORDER BY l.slot
"""
_MARKS_SQL = """
    SELECT (SELECT count(*) FROM state_riskmark), (SELECT count(*) FROM fleet_outbox)
"""


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How old the oldest change is that is not searchable, and which index is kept."""

    lag_seconds: float
    generation: str | None  # None before the first one
    documents: int = 0  # when the generation was built
    rebuilt_at: datetime | None = None


def get_index_status() -> IndexStatus:
    with connection.cursor() as cursor:
        cursor.execute(STATUS_SQL)
        return _status(*cursor.fetchone())


def get_index_status_and_slots() -> tuple[IndexStatus, list[ListeningSlot]]:
    """Return what every page shows of the platform, in one query: the bridges' slots.

    These are the ones of ``state.selectors.adapter_liveness.list_slots``.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STATUS_AND_SLOTS_SQL)
        rows = cursor.fetchall()
    slots = [ListeningSlot(*row[4:]) for row in rows if row[4] is not None]
    return _status(*rows[0][:4]), slots


def _status(
    lag: float | None,
    generation: str | None,
    documents: int | None,
    rebuilt_at: datetime | None,
) -> IndexStatus:
    lag_seconds = round(max(0.0, lag or 0.0), 3)
    return IndexStatus(lag_seconds, generation or None, documents or 0, rebuilt_at)


def index_lag_seconds() -> float:
    """Return the age of the oldest change that is not searchable yet, else 0."""
    return get_index_status().lag_seconds


def count_marks() -> dict[str, int]:
    """Return how many changes wait: a device may have several to be indexed."""
    [(risks, changes)] = bulk_sql.fetch(_MARKS_SQL)
    return {"risk_marks": risks, "index_outbox": changes}


def current_reader(status: IndexStatus | None = None) -> Reader:
    """Return a reader of the index that is kept; raises IndexUnavailable.

    That is the one that the database names. An index on this machine's disk that is not
    it would give an old answer, and call it fresh.
    """
    return current_engine().reader((status or get_index_status()).generation)


def get_index_state() -> IndexState | None:
    """Return the row about the index; None if no index was ever built."""
    return IndexState.objects.filter(pk=1).first()
