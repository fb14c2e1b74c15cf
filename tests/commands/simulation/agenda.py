"""A clock that jumps from one event to the next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, tzinfo=UTC)
# More events than any life needs: what goes on after them does not end.
MOST_EVENTS = 5_000


class Agenda:
    """What will happen, in the order of time."""

    def __init__(self) -> None:
        self.now = START
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._added = 0

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        self.at(self.now + timedelta(seconds=seconds), event)

    def at(self, moment: datetime, event: Callable[[], None]) -> None:
        self._added += 1
        heapq.heappush(self._events, (max(moment, self.now), self._added, event))

    def run(self) -> bool:
        """Let everything happen; return whether that came to an end."""
        for _ in range(MOST_EVENTS):
            if not self._events:
                return True
            self.now, _, event = heapq.heappop(self._events)
            event()
        return False
