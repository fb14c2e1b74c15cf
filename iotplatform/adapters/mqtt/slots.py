"""Which slots this process owns: one advisory lock each, on the session that writes.

Locks and writes use the same PostgreSQL session, so this process commits only while it
owns the slot. The server ends our session when it is idle for too long: a process that
is stopped, but not dead, loses its slots together with its open transaction. It notices
that at its next statement, before it writes or acknowledges anything.
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

LOCK_CLASS = 0x42524447  # "BRDG", to differ from other advisory locks
# A bridge without a slot takes this lock, shared, to show that it wants one.
SPARE_CLASS = LOCK_CLASS + 1
# A slot without a heartbeat for this long may be taken by any bridge. The pause lets
# two bridges that start together share the slots.
ADOPT_AFTER = timedelta(seconds=3)
# A running loop talks to the server every second: one that was silent for this long
# hangs. Together with ADOPT_AFTER, a slot is adopted well within ten seconds.
STILL_SECONDS = 5
END_AFTER = timedelta(seconds=7)
GIVE_SECONDS = 3.0  # give one slot at a time: the other bridge needs time to take it

_LEASE = """
    SELECT set_config('idle_session_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', %s, false)
"""
# A batch runs the same dozen statements each time, and planning them took as long as
# running them, so plan once. All of them look up keys. Without sequential scans the
# plan stays right even if it was made while a table was still empty.
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
# For a session that hangs inside a statement: the server's idle timeout misses it.
_END_HOLDER = """
    SELECT pg_terminate_backend(pid) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Slots:
    """The slots that this process owns, and the database session that owns them."""

    def __init__(self, channel: str) -> None:
        self.owned: set[int] = set()
        self._channel = channel
        self._notices: psycopg.Connection[Any] | None = None
        self._session: Any = None
        self._is_spare = False
        self._give_at = 0.0
        # Slots that are locked though their heartbeat is old, with that heartbeat.
        self._still: dict[int, datetime] = {}

    @property
    def are_ours(self) -> bool:
        """Whether the session that owns the locks is still the one that writes."""
        return self._session is not None and connection.connection is self._session

    def fileno(self) -> int | None:
        """Return the descriptor to wait on for notifications."""
        return self._notices.fileno() if self._notices else None

    def lock_free(
        self, beats: dict[int, datetime], *, mine: Collection[int], now: datetime
    ) -> None:
        """Lock the free slots that we may take; raises OperationalError.

        ``beats`` says when each slot had its last heartbeat. ``mine`` are the slots
        that this process read before it lost the database.
        """
        self._open()
        for slot, beat_at in sorted(beats.items()):
            is_orphan = now - beat_at >= ADOPT_AFTER
            if slot in self.owned or not (
                is_orphan or slot in mine or not (self.owned or mine)
            ):
                continue
            if bulk_sql.fetch(_LOCK, [LOCK_CLASS, slot])[0][0]:
                logger.info("slot %d: locked", slot)
                self.owned.add(slot)
            elif now - beat_at > END_AFTER:
                # Only if the last turn saw the same: it may have just taken the slot.
                if self._still.get(slot) == beat_at:
                    self._end_holder(slot)
                self._still[slot] = beat_at
        if self._is_spare == bool(self.owned):
            self._is_spare = not self.owned
            bulk_sql.fetch(_BE_SPARE if self._is_spare else _BE_NO_SPARE, [SPARE_CLASS])

    def slot_to_give(self) -> int | None:
        """Return a slot to give to a bridge without one, if we own several."""
        if len(self.owned) < 2 or monotonic() < self._give_at:
            return None
        if not bulk_sql.fetch(_SPARES, [SPARE_CLASS])[0][0]:
            return None
        self._give_at = monotonic() + GIVE_SECONDS
        return max(self.owned)

    def release(self, slot: int) -> None:
        self.owned.discard(slot)
        if self.are_ours:
            bulk_sql.fetch(_UNLOCK, [LOCK_CLASS, slot])

    def notified(self) -> bool:
        """Return whether a notification arrived since the last call."""
        if self._notices is None:
            return False
        return any(True for _ in self._notices.notifies(timeout=0))

    def lose(self) -> None:
        """Forget all slots: the session that owned them is gone."""
        self.owned.clear()
        self._session = None
        self._is_spare = False
        if self._notices is not None:
            self._notices.close()
            self._notices = None

    def _open(self) -> None:
        """Open both connections where needed; a new session owns no lock."""
        if self._notices is None:
            self._notices = listen(self._channel)
        connection.ensure_connection()
        if not self.are_ours:
            self.owned.clear()
            self._is_spare = False
            self._session = connection.connection
            bulk_sql.fetch(_LEASE, [f"{STILL_SECONDS}s", f"{STILL_SECONDS}s"])
            bulk_sql.fetch(_PLAN_ONCE)
            self._session.prepare_threshold = PREPARED_AFTER

    def _end_holder(self, slot: int) -> None:
        logger.warning("slot %d: its bridge hangs; ending its database session", slot)
        try:
            bulk_sql.fetch(_END_HOLDER, [LOCK_CLASS, slot])
        except Error as error:  # another login's session: the server's timeouts end it
            logger.warning("slot %d: %s", slot, str(error).strip())
            if not self.are_ours:
                raise
