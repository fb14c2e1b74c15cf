"""The platform status in the top bar: is the bridge listening, what are the lags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone

from fleet.selectors.lag import IndexStatus, get_index_status_and_slots
from state.selectors.adapter_liveness import BLIND_AFTER, ingest_figures

if TYPE_CHECKING:
    from console.scope import ConsoleRequest
    from state.models import ListeningSlot

# Seconds. Beyond these a person might act on outdated information.
INGEST_LAG_LIMIT = 5.0
INDEX_LAG_LIMIT = 5.0


@dataclass(frozen=True)
class PlatformStatus:
    """Slots that are read, and the lags of ingest and index."""

    slots: int
    slots_read: int
    ingest_lag_seconds: float | None
    index_lag_seconds: float | None

    @property
    def is_listening(self) -> bool:
        """Whether all slots of the uplink are read."""
        return self.slots > 0 and self.slots_read == self.slots

    @property
    def listening_label(self) -> str:
        """The tooltip of the first mark."""
        if not self.slots:
            return "No bridge has ever been connected."
        return f"{self.slots_read} of {self.slots} bridge slots are read."

    @property
    def warning(self) -> str:
        """What may be wrong on the page; empty if nothing is."""
        if not self.is_listening:
            return (
                "The platform does not receive messages from all devices. Conditions"
                " may be out of date until the bridge is back."
            )
        if self.ingest_lag_seconds is None or (
            self.ingest_lag_seconds > INGEST_LAG_LIMIT
        ):
            return (
                "Messages are waiting to be processed. Conditions may be out of date."
            )
        if self.index_lag_seconds is None:
            return "The search index is being built. Searches do not work yet."
        if self.index_lag_seconds > INDEX_LAG_LIMIT:
            return "The search index is behind. Searches and counts may be out of date."
        return ""


def get_platform_status() -> PlatformStatus:
    return platform_status_of(*get_index_status_and_slots())


def note_platform_status(request: ConsoleRequest) -> IndexStatus:
    """Read it for the page's frame; return the index's part, for searches."""
    index, slots = get_index_status_and_slots()
    request.platform_status = platform_status_of(index, slots)
    return index


def platform_status_of(
    index: IndexStatus, slots: Sequence[ListeningSlot]
) -> PlatformStatus:
    """Return the status from what was read of the index and the bridges."""
    now = timezone.now()
    return PlatformStatus(
        slots=len(slots),
        slots_read=sum(now - slot.caught_up_at <= BLIND_AFTER for slot in slots),
        ingest_lag_seconds=ingest_figures(now, slots).lag_seconds,
        index_lag_seconds=index.lag_seconds if index.generation else None,
    )
