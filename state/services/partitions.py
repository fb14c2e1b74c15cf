"""The partitions of the histories of state: made ahead, dropped when old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction

from iotplatform.common.partitions import drop_partitions_before, ensure_partitions

KEPT = {
    # Over a year, so that a season can be compared with the one before.
    "state_connectivitytransition": timedelta(days=400),
    "state_alarmchange": timedelta(days=400),
    # Buckets of five minutes are many; a quarter is what charts and rules look at.
    "state_twinchange": timedelta(days=400),
    "state_telemetryrollup": timedelta(days=92),
}


@transaction.atomic
def keep_partitions(*, now: datetime) -> int:
    """Make the partitions of the coming days, and drop the old; return how many."""
    today = now.astimezone(UTC).date()
    changed = 0
    for table, kept in KEPT.items():
        changed += len(ensure_partitions(table, today=today))
        changed += len(drop_partitions_before(table, first_kept=today - kept))
    return changed
