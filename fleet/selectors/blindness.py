"""Whether the index shows the fleet as it is now."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from fleet.selectors.lag import get_index_state, index_lag_seconds

# Beyond this, a count or a comparison would be about a fleet that is no more.
MOST_LAG_SECONDS = 10.0


def is_blind() -> bool:
    """Whether there is no index, a rebuild is wanted, or the index is behind.

    What is counted or compared while blind must not be recorded. A search may still
    raise IndexUnavailable.
    """
    state = get_index_state()
    if state is None or not state.generation or state.rebuild_requested_at is not None:
        return True
    return index_lag_seconds() > MOST_LAG_SECONDS


def has_indexed(at: datetime) -> bool:
    """Whether every change before this time is searchable."""
    lag = index_lag_seconds()
    return lag == 0 or timezone.now() - timedelta(seconds=lag) > at
