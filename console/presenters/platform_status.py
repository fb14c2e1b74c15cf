"""Whether what a page shows can be trusted: are we listening, and how far behind."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from fleet.selectors.lag import get_index_state, index_lag_seconds
from state.selectors.adapter_liveness import (
    BLIND_AFTER,
    ingest_figures,
    list_slots,
)

# More than this and a person may decide upon what is no longer so.
INGEST_LAG_LIMIT = 5.0
INDEX_LAG_LIMIT = 5.0


@dataclass(frozen=True)
class Trust:
    """The strip of the top bar."""

    slots: int
    slots_read: int
    ingest_lag_seconds: float | None
    index_lag_seconds: float | None

    @property
    def is_listening(self) -> bool:
        """Whether every share of the uplink is read."""
        return self.slots > 0 and self.slots_read == self.slots

    @property
    def listening_words(self) -> str:
        """What the first mark says."""
        if not self.slots:
            return "no bridge has ever listened"
        return f"{self.slots_read} of {self.slots} bridge slots are read"

    @property
    def warning(self) -> str:
        """What may be wrong on this page; empty when all is well."""
        if not self.is_listening:
            return (
                "We are not listening to every device: conditions may be old, and"
                " silence says nothing until the bridge is back."
            )
        if self.ingest_lag_seconds is None or (
            self.ingest_lag_seconds > INGEST_LAG_LIMIT
        ):
            return "Messages wait to be taken in: conditions may be old."
        if self.index_lag_seconds is None:
            return "The search index is being built: searches cannot be answered."
        if self.index_lag_seconds > INDEX_LAG_LIMIT:
            return "The search index is behind: searches and counts may be old."
        return ""

    @property
    def is_bad(self) -> bool:
        """Whether the strip turns."""
        return bool(self.warning)


def get_trust() -> Trust:
    """Read slots and lags: four short queries."""
    now = timezone.now()
    slots = list_slots()
    state = get_index_state()
    has_index = state is not None and bool(state.generation)
    return Trust(
        slots=len(slots),
        slots_read=sum(now - slot.caught_up_at <= BLIND_AFTER for slot in slots),
        ingest_lag_seconds=ingest_figures(now).lag_seconds,
        index_lag_seconds=index_lag_seconds() if has_index else None,
    )
