"""What the log shows about the simulated fleet: totals, not single devices."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

EVERY_SECONDS = 10.0


@dataclass
class Report:
    """The totals of a fleet, logged when they change."""

    devices: int = 0
    connected: int = 0
    published: int = 0
    _refused: dict[str, str] = field(default_factory=dict)
    _unreachable: dict[str, str] = field(default_factory=dict)
    _last: str = ""

    def refused(self, uid: str, why: str) -> None:
        self._refused[uid] = why

    def unreachable(self, uid: str, why: str) -> None:
        self._unreachable[uid] = why

    async def run(self) -> None:
        """Log changes every few seconds."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            self.log()

    def log(self) -> None:
        line = f"{self.connected} of {self.devices} connections are up"
        if line != self._last:
            logger.info("%s; %d messages published", line, self.published)
            self._last = line
        for what, rows in (
            ("refused by the broker", self._refused),
            ("cannot reach the broker", self._unreachable),
        ):
            if rows:
                uid, why = next(iter(rows.items()))
                logger.warning(
                    "%d devices %s (%s: %s); they try again", len(rows), what, uid, why
                )
                rows.clear()
