"""Which slots this process reads: an advisory lock each, on the session that writes.

Lock and writes are one session of PostgreSQL, so whatever this process commits it
commits while the slot is its own. The server ends a session of ours that stands still:
a process that is stopped, but not dead, loses its slots and its open transaction
together, and finds that out at its next word, before it writes or acknowledges.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import psycopg
from django.db import Error, connection

from iotplatform.common import bulk_sql
from iotplatform.common.notify import listen

logger = logging.getLogger(__name__)

LOCK_CLASS = 0x42524447  # "BRDG", to be apart from other advisory locks
SPARE_CLASS = LOCK_CLASS + 1  # held, shared, by who would read a slot and has none
ADOPT_AFTER = timedelta(seconds=3)  # two that start together share; then orphans go
# A loop that turns speaks to the server every second: one that did not for so long does
# not turn. With ADOPT_AFTER it leaves an orphan's adoption well under ten seconds.
STILL_SECONDS = 5
END_AFTER = timedelta(seconds=7)
GIVE_SECONDS = 3.0  # one slot at a time: who waited needs a moment to take it

_LEASE = """
    SELECT set_config('idle_session_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', %s, false)
"""
# A batch is a dozen statements, always the same: planning them anew took as long as
# running them. All of them go by key, also while the planner knows nothing yet of a
# table that was empty when it looked.
PREPARED_AFTER = 1
_PLAN_ONCE = """
    SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
        set_config('enable_seqscan', 'off', false)
"""
_LOCK = "SELECT pg_try_advisory_lock(%s, %s)"
_UNLOCK = "SELECT pg_advisory_unlock(%s, %s)"
_BE_SPARE = "SELECT pg_advisory_lock_shared(%s, 0)"
_BE_NO_SPARE = "SELECT pg_advisory_unlock_shared(%s, 0)"
_SPARES = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# For one that the server cannot see standing still: it waits in a statement.
_END_HOLDER = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Slots:
    """The slots that this process holds, and the session that holds them."""

    def __init__(self, channel: str) -> None:
        self.held: set[int] = set()
        self._channel = channel
        self._notices: psycopg.Connection[Any] | None = None
        self._session: Any = None
        self._is_spare = False
        self._give_at = 0.0
        self._still: dict[int, datetime] = {}  # held, and how old their beats were

    @property
    def are_ours(self) -> bool:
        """Whether the session that holds the locks is still the one that writes."""
        return self._session is not None and connection.connection is self._session

    def fileno(self) -> int | None:
        """Return what to wait on for notifications."""
        return self._notices.fileno() if self._notices else None

    def keep(
        self, beats: dict[int, datetime], *, mine: Collection[int], now: datetime
    ) -> None:
        """Take what is free and ours to take; raises OperationalError when it is away.

        ``beats`` says when each slot that should be read was last alive, ``mine`` which
        of them this process read before it lost the database.
        """
        self._open()
        for slot, beat_at in sorted(beats.items()):
            is_orphan = now - beat_at >= ADOPT_AFTER
            if slot in self.held or not (
                is_orphan or slot in mine or not (self.held or mine)
            ):
                continue
            if bulk_sql.fetch(_LOCK, [LOCK_CLASS, slot])[0][0]:
                logger.info("slot %d: taken", slot)
                self.held.add(slot)
            elif now - beat_at > END_AFTER:
                # Seen a turn ago too: it may have taken the slot only now.
                if self._still.get(slot) == beat_at:
                    self._end_holder(slot)
                self._still[slot] = beat_at
        if self._is_spare == bool(self.held):
            self._is_spare = not self.held
            bulk_sql.fetch(_BE_SPARE if self._is_spare else _BE_NO_SPARE, [SPARE_CLASS])

    def to_give(self) -> int | None:
        """Return a slot to leave to a bridge that has none, while we have several."""
        if len(self.held) < 2 or monotonic() < self._give_at:
            return None
        if not bulk_sql.fetch(_SPARES, [SPARE_CLASS])[0][0]:
            return None
        self._give_at = monotonic() + GIVE_SECONDS
        return max(self.held)

    def release(self, slot: int) -> None:
        """Leave a slot to others."""
        self.held.discard(slot)
        if self.are_ours:
            bulk_sql.fetch(_UNLOCK, [LOCK_CLASS, slot])

    def notified(self) -> bool:
        """Say whether something was notified since the last look."""
        if self._notices is None:
            return False
        return any(True for _ in self._notices.notifies(timeout=0))

    def lose(self) -> None:
        """Forget everything: the session that held it is gone."""
        self.held.clear()
        self._session = None
        self._is_spare = False
        if self._notices is not None:
            self._notices.close()
            self._notices = None

    def _open(self) -> None:
        """Make sure of both connections; a new session begins with no lock."""
        if self._notices is None:
            self._notices = listen(self._channel)
        connection.ensure_connection()
        if not self.are_ours:
            self.held.clear()
            self._is_spare = False
            self._session = connection.connection
            bulk_sql.fetch(_LEASE, [f"{STILL_SECONDS}s", f"{STILL_SECONDS}s"])
            bulk_sql.fetch(_PLAN_ONCE)
            self._session.prepare_threshold = PREPARED_AFTER

    def _end_holder(self, slot: int) -> None:
        logger.warning("slot %d: its bridge does not move; ending it", slot)
        try:
            bulk_sql.fetch(_END_HOLDER, [LOCK_CLASS, slot])
        except Error as error:  # of another login: then the server's patience decides
            logger.warning("slot %d: %s", slot, str(error).strip())
            if not self.are_ours:
                raise
