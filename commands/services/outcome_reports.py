"""Telling state how commands end and how adapter paths deliver: its judges ask that."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from commands.selectors.delivery_stats import deliveries, outcomes_of
from commands.services import job_maintenance
from state.services.delivery_outcomes import (
    Delivery,
    Outcomes,
    note_deliveries,
    note_outcomes,
)

BATCH = 1_000

_CLAIM = """
    DELETE FROM commands_outcometotell WHERE id IN (
        SELECT id FROM commands_outcometotell ORDER BY id LIMIT %s
        FOR UPDATE SKIP LOCKED
    ) RETURNING device_id
"""


def tell_outcomes_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Tell how the newest commands of a batch of devices ended; return how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [limit])
            claimed = [device_id for (device_id,) in cursor.fetchall()]
        found = outcomes_of(set(claimed))
        note_outcomes([Outcomes(*row) for row in found], at=now)
        job_maintenance.end(set(claimed), now=now)
    return len(claimed)


@transaction.atomic
def tell_deliveries(*, now: datetime) -> int:
    """Tell how each adapter path delivers; return how many."""
    told = [Delivery(*row) for row in deliveries(now=now)]
    note_deliveries(told, at=now)
    return len(told)
