"""Reports to state: how commands end, and how well adapters deliver; it judges both."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from commands.selectors.delivery_stats import get_command_outcomes, get_delivery_stats
from commands.services import job_maintenance
from commands.services.delivery_minutes import count_answered
from state.services.delivery_outcomes import (
    Delivery,
    Outcomes,
    record_deliveries,
    record_outcomes,
)

BATCH = 1_000

_CLAIM = """
    DELETE FROM commands_outcometotell WHERE id IN (
        SELECT id FROM commands_outcometotell ORDER BY id LIMIT %s
        FOR UPDATE SKIP LOCKED
    ) RETURNING device_id
"""


def report_outcomes_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Report how the newest commands of a batch of devices ended; return how many."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [limit])
            claimed = [device_id for (device_id,) in cursor.fetchall()]
        found = get_command_outcomes(set(claimed))
        record_outcomes([Outcomes(*row) for row in found], at=now)
        job_maintenance.end(set(claimed), now=now)
    return len(claimed)


@transaction.atomic
def report_deliveries(*, now: datetime) -> int:
    """Report how well each adapter delivers; return how many."""
    count_answered(now=now)
    stats = [Delivery(*row) for row in get_delivery_stats(now=now)]
    record_deliveries(stats, at=now)
    return len(stats)
