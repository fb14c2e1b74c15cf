"""Which slots this process reads: an advisory lock each, on a connection of its own.

The lock dies with the process, so a survivor sees at once what became free. A process
that is stopped but not dead keeps its lock and beats no more: its session is ended, and
its slot taken; when it goes on, it finds its lock gone and lets go.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

import psycopg

from iotplatform.common.notify import listen

logger = logging.getLogger(__name__)

LOCK_CLASS = 0x42524447  # "BRDG", to be apart from other advisory locks
ADOPT_AFTER = timedelta(seconds=3)  # two that start together share; then orphans go
END_AFTER = timedelta(seconds=6)

_HOLDER = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Slots:
    """The slots that this process holds, and the connection that holds them."""

    def __init__(self, channel: str) -> None:
        self.held: set[int] = set()
        self._channel = channel
        self._connection: psycopg.Connection[Any] | None = None

    def fileno(self) -> int | None:
        """Return what to wait on for notifications."""
        return self._connection.fileno() if self._connection else None

    def keep(
        self, beats: dict[int, datetime], *, mine: Collection[int], now: datetime
    ) -> None:
        """Take what is free and ours to take; raises OperationalError when it is away.

        ``beats`` says when each slot that should be read was last alive, ``mine`` which
        of them this process read before it lost the database.
        """
        if self._connection is None:
            self._connection = listen(self._channel)
        for slot, beat_at in sorted(beats.items()):
            is_orphan = now - beat_at >= ADOPT_AFTER
            if slot in self.held or not (
                is_orphan or slot in mine or not (self.held or mine)
            ):
                continue
            if self._try_lock(slot):
                logger.info("slot %d: taken", slot)
                self.held.add(slot)
            elif now - beat_at > END_AFTER:
                logger.warning("slot %d: its bridge does not move; ended", slot)
                self._connection.execute(_HOLDER, [LOCK_CLASS, slot])

    def notified(self) -> bool:
        """Say whether something was notified since the last look."""
        if self._connection is None:
            return False
        return any(True for _ in self._connection.notifies(timeout=0))

    def lose(self) -> None:
        """Forget everything: the connection that held it is gone."""
        self.held.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try_lock(self, slot: int) -> bool:
        assert self._connection is not None
        row = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, slot]
        ).fetchone()
        return bool(row and row[0])
