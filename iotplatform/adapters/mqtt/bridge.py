"""One bridge process: one thread, its slots' links, one batch at a time.

Messages are acknowledged after the commit that holds them, in the order of their
coming. Whatever is away (database, broker) is tried again with a growing pause; until
then the links fill up to the receive window, and the broker keeps the rest.
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

from commands.services.dispatch import CHANNEL
from iotplatform.adapters.mqtt import intake
from iotplatform.adapters.mqtt.address import BrokerAddress
from iotplatform.adapters.mqtt.downlink import Downlink
from iotplatform.adapters.mqtt.link import Link, Received
from iotplatform.adapters.mqtt.slot_stats import Figures
from iotplatform.adapters.mqtt.slots import Slots
from state.selectors.adapter_liveness import beats_of_slots
from state.services.presence import adapter_liveness

logger = logging.getLogger(__name__)

# Above some hundreds the cost of a message no longer falls (37,552 a second by 100,
# 60,552 by 500), and a batch that must be repeated should be short.
BATCH_MESSAGES = 500
BATCH_SECONDS = (
    0.05  # adds so much latency at most, and halves the commits of a trickle
)
TURN_SECONDS = 1.0  # beats, slots, and commands that nobody notified us of
FIRST_PAUSE_SECONDS = 0.2
LAST_PAUSE_SECONDS = 5.0


class Bridge:
    """The loop: wait, read, commit, acknowledge, publish, beat."""

    def __init__(self, address: BrokerAddress, owner: str) -> None:
        self._turned_at = self._processed_at = monotonic()
        self._is_database_away = False
        self._address = address
        self._owner = owner
        self._slots = Slots(CHANNEL)
        self._links: dict[int, Link] = {}
        self._downlink = Downlink()
        self._figures: dict[int, Figures] = {}
        self._pending: deque[Received] = deque()
        self._stopping = False
        self._turn_at = 0.0
        self._commands_due = True
        self._pause_until = 0.0
        self._pause_seconds = FIRST_PAUSE_SECONDS

    def stop(self) -> None:
        """Ask the loop to end after what it has in hand."""
        self._stopping = True

    @property
    def still_seconds(self) -> float:
        """How long the loop has not turned, or has not processed what waits."""
        return monotonic() - min(self._turned_at, self._processed_at)

    def run(self) -> None:
        """Run until asked to stop, whatever is away meanwhile."""
        while not self._stopping:
            self._turned_at = monotonic()
            if not self._pending or self._is_database_away:
                self._processed_at = self._turned_at
            self._wait()
            for link in self._links.values():
                # Without the slot, connecting would throw a survivor off.
                link.tend(may_connect=self._slots.are_ours)
                self._take(link)
            self._with_database(self._work)
        self._finish()

    def _work(self) -> None:
        """Do what needs the database; an error of it leaves the rest for later."""
        if monotonic() >= self._turn_at:
            self._turn()
            self._turn_at = monotonic() + TURN_SECONDS
        while self._is_batch_due():
            self._commit_batch()
        links = list(self._links.values())
        self._downlink.mark(links)
        if self._slots.notified() or self._commands_due:
            self._commands_due = self._downlink.send(links)

    def _turn(self) -> None:
        """Once a second: slots, beats, and a look for commands without being told."""
        now = datetime.now(UTC)
        count = settings.BRIDGE_SLOTS
        beats = beats_of_slots()
        if not beats.keys() >= set(range(1, count + 1)):
            adapter_liveness.open_slots(count, now=now)
            beats = beats_of_slots()
        self._slots.keep(beats, mine=self._links.keys(), now=now)
        for slot in self._slots.held - self._links.keys():
            # Alone it takes the uplink whole: Mosquitto forgets shared subscriptions
            # when it is killed, and would lose what comes before we are back.
            share = self._address.share if count > 1 else ""
            link = Link(slot, self._address, share=share, is_draining=slot > count)
            self._links[slot] = link
            self._figures[slot] = Figures(slot, self._owner)
        for slot in self._links.keys() - self._slots.held:
            logger.warning("slot %d: held by another bridge now", slot)
            self._links[slot].drop("the slot is another's")
            self._forget(slot)
        if (spare := self._slots.to_give()) is not None:
            logger.info("slot %d: left to a bridge that has none", spare)
            self._leave(spare)
        adapter_liveness.beat(
            [
                self._figures[slot].beat(link, self._pending)
                for slot, link in sorted(self._links.items())
            ],
            now=now,
        )
        for slot in [slot for slot, link in self._links.items() if link.is_drained]:
            logger.info("slot %d: drained, and given up", slot)
            adapter_liveness.forget_slot(slot)
            self._leave(slot)
        self._commands_due = True
        self._downlink.clear(list(self._links.values()))

    def _take(self, link: Link) -> None:
        received = link.read()
        self._pending += received
        self._figures[link.slot].count(received)

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
            self._figures[slot].committed(mine)

    def _with_database(self, work: Callable[[], None]) -> None:
        """Call, and pause for a while that grows when the database is away."""
        if monotonic() < self._pause_until:
            return
        try:
            work()
            self._pause_seconds = FIRST_PAUSE_SECONDS
            self._is_database_away = False
        except (Error, psycopg.Error, intake.DatabaseAway) as error:
            logger.warning("the database: %s", str(error).strip())
            self._is_database_away = True
            self._lose_database()
        except Exception:
            logger.exception("the bridge goes on after an error")
            self._lose_database()

    def _lose_database(self) -> None:
        connection.close()
        self._slots.lose()  # somebody else may have them; the next turn asks again
        self._turn_at = 0.0
        self._pause_until = monotonic() + self._pause_seconds
        self._pause_seconds = min(2 * self._pause_seconds, LAST_PAUSE_SECONDS)

    def _leave(self, slot: int) -> None:
        """Part from a slot in good order; what is not acknowledged comes again."""
        self._links[slot].close()
        self._forget(slot)
        self._slots.release(slot)

    def _forget(self, slot: int) -> None:
        link = self._links.pop(slot)
        self._figures.pop(slot)
        self._downlink.collect(link)
        self._pending = deque(m for m in self._pending if m.slot != slot)

    def _wait(self) -> None:
        """Sleep until something can be read or written, or a batch is old enough."""
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
        select.select(readers, writers, [], self._patience())

    def _patience(self) -> float:
        """Return how long nothing needs to be done."""
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
        """Commit what is in hand, leave the broker, free the slots."""
        self._with_database(self._work)
        for link in self._links.values():
            link.close()
        self._with_database(lambda: self._downlink.mark(list(self._links.values())))
        self._slots.lose()
        connection.close()
