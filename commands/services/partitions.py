"""The partitions of command events: made ahead, dropped when old."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from iotplatform.common.partitions import drop_partitions_before, ensure_partitions

EVENTS = "commands_commandevent"
# Over a year, so that a season can be compared with the one before.
KEPT = timedelta(days=400)


def keep_partitions(*, now: datetime) -> int:
    """Make the partitions of the coming days, and drop those over a year old."""
    today = now.astimezone(UTC).date()
    made = ensure_partitions(EVENTS, today=today)
    dropped = drop_partitions_before(EVENTS, first_kept=today - KEPT)
    return len(made) + len(dropped)
