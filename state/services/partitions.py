"""Partitions of the tables of state, and of past devices: made ahead, dropped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import transaction

from iotplatform.common.partitions import drop_partitions_before, ensure_partitions

KEPT = {
    # Over a year, so that a season can be compared with the one before.
    "state_connectivitytransition": timedelta(days=400),
    "state_alarmchange": timedelta(days=400),
    "state_twinchange": timedelta(days=400),
    # Five-minute buckets are many; charts and rules read a quarter of a year at most.
    "state_telemetryrollup": timedelta(days=92),
    # What the fleet was is asked for up to 30 days back (`fleet.selectors.moments`).
    "state_pasttwin": timedelta(days=31),
    "registry_pastdevice": timedelta(days=31),
}


@transaction.atomic
def keep_partitions(*, now: datetime) -> int:
    """Create the partitions of the coming days, and drop old ones; return how many."""
    today = now.astimezone(UTC).date()
    changed = 0
    for table, kept in KEPT.items():
        changed += len(ensure_partitions(table, today=today))
        changed += len(drop_partitions_before(table, first_kept=today - kept))
    return changed
