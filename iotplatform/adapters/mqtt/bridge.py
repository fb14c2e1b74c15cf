"""One bridge process: one thread, one link per slot, one batch at a time.

Messages are acknowledged after their commit, in the order of their arrival. When the
database or the broker is away, the bridge tries again with growing pauses. Meanwhile
the links fill up to the receive window, and the broker keeps the rest.
"""

from __future__ import annotations

import logging
import select
import socket
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import psycopg
from django.conf import settings
from django.db import Error, connection

from commands.services.adapter_wakeup import COMMANDS_DUE
from iotplatform.adapters.mqtt import intake
from iotplatform.adapters.mqtt.address import BrokerAddress
from iotplatform.adapters.mqtt.downlink import Downlink
from iotplatform.adapters.mqtt.link import BridgeLink, Received
from iotplatform.adapters.mqtt.slot_stats import SlotStats
from iotplatform.adapters.mqtt.slots import Slots
from state.selectors.adapter_liveness import beats_of_slots
from state.services.presence import adapter_liveness

logger = logging.getLogger(__name__)

# Larger batches do not make a message cheaper (37,552 messages a second in batches of
# 100, 60,552 in batches of 500), and a batch that must be repeated should be short.
BATCH_MESSAGES = 500
# Adds this latency at most, and halves the commits when few messages arrive.
BATCH_SECONDS = 0.05
TURN_SECONDS = 1.0  # heartbeats, slots, and due commands without a notification
FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0


class Bridge:
    """The loop: wait, read, commit, acknowledge, publish, record heartbeats."""

    def __init__(self, address: BrokerAddress, owner: str) -> None:
        self._turned_at = self._processed_at = monotonic()
        self._is_database_away = False
        self._address = address
        self._owner = owner
        self._slots = Slots(COMMANDS_DUE)
        self._links: dict[int, BridgeLink] = {}
        self._downlink = Downlink()
        self._stats: dict[int, SlotStats] = {}
        self._pending: deque[Received] = deque()
        self._stopping = False
        self._turn_at = 0.0
        self._commands_due = True
        self._pause_until = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def stop(self) -> None:
        """Ask the loop to end after its current batch."""
        self._stopping = True

    @property
    def still_seconds(self) -> float:
        """For how long the loop has hung, or has not processed waiting messages."""
        return monotonic() - min(self._turned_at, self._processed_at)

    def run(self) -> None:
        """Run until asked to stop, also while the database or the broker is away."""
        while not self._stopping:
            self._turned_at = monotonic()
            if not self._pending or self._is_database_away:
                self._processed_at = self._turned_at
            self._wait()
            for link in self._links.values():
                # Without the slot, connecting would disconnect the bridge that owns it.
                link.maintain(may_connect=self._slots.are_ours)
                self._read(link)
            self._with_database(self._work)
        self._finish()

    def _work(self) -> None:
        """Do everything that needs the database; after its error the rest waits."""
        if monotonic() >= self._turn_at:
            self._every_second()
            self._turn_at = monotonic() + TURN_SECONDS
        while self._is_batch_due():
            self._commit_batch()
        links = list(self._links.values())
        self._downlink.mark(links)
        if self._slots.notified() or self._commands_due:
            self._commands_due = self._downlink.send(links)

    def _every_second(self) -> None:
        """Once a second: slots, heartbeats, and due commands without notification."""
        now = datetime.now(UTC)
        count = settings.BRIDGE_SLOTS
        beats = beats_of_slots()
        if not beats.keys() >= set(range(1, count + 1)):
            adapter_liveness.open_slots(count, now=now)
            beats = beats_of_slots()
        self._slots.lock_free(beats, mine=self._links.keys(), now=now)
        for slot in self._slots.owned - self._links.keys():
            # A single slot reads the whole uplink without a shared subscription:
            # Mosquitto forgets those when it is killed, and would lose all messages
            # until we are back.
            share = self._address.share if count > 1 else ""
            is_draining = slot > count
            link = BridgeLink(slot, self._address, share=share, is_draining=is_draining)
            self._links[slot] = link
            self._stats[slot] = SlotStats(slot, self._owner)
        for slot in self._links.keys() - self._slots.owned:
            logger.warning("slot %d: another bridge owns it now", slot)
            self._links[slot].drop("another bridge owns the slot")
            self._forget(slot)
        if (spare := self._slots.slot_to_give()) is not None:
            logger.info("slot %d: given to a bridge without a slot", spare)
            self._leave(spare)
        adapter_liveness.beat(
            [
                self._stats[slot].beat(link, self._pending)
                for slot, link in sorted(self._links.items())
            ],
            now=now,
        )
        for slot in [slot for slot, link in self._links.items() if link.is_drained]:
            logger.info("slot %d: drained and released", slot)
            adapter_liveness.forget_slot(slot)
            self._leave(slot)
        self._commands_due = True
        self._downlink.clear(list(self._links.values()))

    def _read(self, link: BridgeLink) -> None:
        received = link.read()
        self._pending += received
        self._stats[link.slot].count(received)

    def _is_batch_due(self) -> bool:
        if not self._pending:
            return False
        if len(self._pending) >= BATCH_MESSAGES or self._stopping:
            return True
        age = datetime.now(UTC) - self._pending[0].at
        return age.total_seconds() >= BATCH_SECONDS

    def _commit_batch(self) -> None:
        count = min(len(self._pending), BATCH_MESSAGES)
        batch = [self._pending[n] for n in range(count)]
        intake.commit(batch, are_ours=lambda: self._slots.are_ours)
        self._processed_at = monotonic()
        for _ in batch:
            self._pending.popleft()
        for slot, link in self._links.items():
            mine = [message for message in batch if message.slot == slot]
            link.acknowledge(mine)
            self._stats[slot].committed(mine)

    def _with_database(self, work: Callable[[], None]) -> None:
        """Call ``work``; pause when the database is away, longer each time."""
        if monotonic() < self._pause_until:
            return
        try:
            work()
            self._pause_seconds = FIRST_PAUSE_SECONDS
            self._is_database_away = False
        except (Error, psycopg.Error) as error:
            logger.warning("the database does not answer: %s", str(error).strip())
            self._is_database_away = True
            self._lose_database()
        except Exception:
            logger.exception("the bridge continues after an error")
            self._lose_database()

    def _lose_database(self) -> None:
        connection.close()
        self._slots.lose()  # others may own them now; the next turn tries again
        self._turn_at = 0.0
        self._pause_until = monotonic() + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LAST_PAUSE_SECONDS)

    def _leave(self, slot: int) -> None:
        """Close a slot's link and release it; unacknowledged messages come again."""
        self._links[slot].close()
        self._forget(slot)
        self._slots.release(slot)

    def _forget(self, slot: int) -> None:
        link = self._links.pop(slot)
        self._stats.pop(slot)
        self._downlink.collect(link)
        self._pending = deque(m for m in self._pending if m.slot != slot)

    def _wait(self) -> None:
        """Sleep until there is something to read or write, or a batch is due."""
        readers: list[socket.socket | int] = []
        writers: list[socket.socket | int] = []
        for link in self._links.values():
            if link.socket is not None:
                if link.may_read:
                    readers.append(link.socket)
                if link.wants_write:
                    writers.append(link.socket)
        if (notifications := self._slots.fileno()) is not None:
            readers.append(notifications)
        select.select(readers, writers, [], self._wait_seconds())

    def _wait_seconds(self) -> float:
        """Return for how long there is nothing to do."""
        now = monotonic()
        if now < self._pause_until:
            return min(self._pause_until - now, TURN_SECONDS / 4)
        if any(link.has_unread for link in self._links.values()):
            return 0.0
        if not self._pending:
            return TURN_SECONDS / 4
        age = (datetime.now(UTC) - self._pending[0].at).total_seconds()
        return min(max(BATCH_SECONDS - age, 0.0), BATCH_SECONDS)

    def _finish(self) -> None:
        """Commit what was received, leave the broker, release the slots."""
        self._with_database(self._work)
        for link in self._links.values():
            link.close()
        self._with_database(lambda: self._downlink.mark(list(self._links.values())))
        self._slots.lose()
        connection.close()
