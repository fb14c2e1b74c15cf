"""One connection and who speaks over it: a device, or a gateway and its children."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from iotplatform.simulator.command_handler import Obedience
from iotplatform.simulator.device import Unit
from iotplatform.simulator.execution_journal import Journal
from iotplatform.simulator.link import Address, Link, Refused, Unreachable, Will
from iotplatform.simulator.report import Report

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
# A refused device asks again slowly: its credential may be about to be made.
REFUSED_RETRY_SECONDS = 15.0
# How long a restart takes.
RESTART_SECONDS = (0.5, 2.0)


class Station:
    """Keeps one connection alive, through drops, restarts and outages."""

    def __init__(
        self,
        head: Unit,
        children: list[Unit],
        *,
        address: Address,
        secret: str,
        journal: Journal,
        report: Report,
    ) -> None:
        self.head = head
        self.units = {unit.uid: unit for unit in [head, *children]}
        self._address = address
        self._secret = secret
        self._report = report
        self._obedience = {
            uid: Obedience(unit, journal, restart=self._restart)
            for uid, unit in self.units.items()
        }
        self._draw = Random(f"station:{head.uid}")
        self._link: Link | None = None
        self._is_stopping = False
        self._absence_seconds = 0.0
        self._restarting: asyncio.Future[None] | None = None

    def publish(self, topic: str, payload: bytes, retain: bool) -> int | None:
        """Publish for any of the units, if there is a connection."""
        if self._link is None or not self._link.is_up:
            return None
        self._report.published += 1
        return self._link.publish(topic, payload, retain=retain)

    async def run(self, first_delay_seconds: float) -> None:
        """Connect, live, lose the connection, come again; until stopped."""
        await asyncio.sleep(first_delay_seconds)
        delay = FIRST_RETRY_SECONDS
        while not self._is_stopping:
            try:
                link = await self._open()
            except Refused as error:
                self._report.refused(self.head.uid, str(error))
                delay = max(delay, REFUSED_RETRY_SECONDS)
            except Unreachable as error:
                self._report.unreachable(self.head.uid, str(error))
            else:
                delay = FIRST_RETRY_SECONDS
                await self._live(link)
                if self._is_stopping:
                    return
                if self._absence_seconds:
                    await asyncio.sleep(self._absence_seconds)
                    self._absence_seconds = 0.0
                    continue
            await asyncio.sleep(delay * self._draw.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)

    async def stop(self) -> None:
        """Say goodbye for every unit, and disconnect."""
        self._is_stopping = True
        for obedience in self._obedience.values():
            obedience.stop()
        link = self._link
        if link is None or not link.is_up:
            return
        for unit in reversed(self.units.values()):
            unit.say_goodbye()
        await link.close()

    async def _open(self) -> Link:
        for unit in self.units.values():
            unit.renew_session()
        head = self.head
        link = Link(head.uid, self._arrived, self._confirmed)
        filters = [f"{head.prefix}/down/command", f"{head.prefix}/down/desired"]
        if len(self.units) > 1:
            filters.append(f"{head.prefix}/child/+/down/#")
        will = Will(f"{head.prefix}/status", head.status("offline"))
        await link.open(self._address, secret=self._secret, will=will, filters=filters)
        return link

    async def _live(self, link: Link) -> None:
        self._link = link
        self._report.connected += 1
        if self._restarting is not None and not self._restarting.done():
            self._restarting.set_result(None)
        for uid, unit in self.units.items():
            unit.be_born()
            self._obedience[uid].answer_again()
        tending = asyncio.create_task(self._tend(link))
        try:
            await link.ended.wait()
        finally:
            tending.cancel()
            for unit in self.units.values():
                unit.fall_silent()
            self._report.connected -= 1
            self._link = None

    async def _tend(self, link: Link) -> None:
        """See to the keep-alive, and to the drops of a flaky device."""
        profile = self.head.profile
        loop = asyncio.get_running_loop()
        drop_at = float("inf")
        if profile.drop_seconds:
            drop_at = loop.time() + self.head.draw.expovariate(1 / profile.drop_seconds)
        while True:
            await asyncio.sleep(min(30.0, max(0.0, drop_at - loop.time())))
            if loop.time() >= drop_at:
                self._absence_seconds = self.head.draw.uniform(*profile.absence_seconds)
                link.abort()
                return
            link.tick()

    def drop(self, absence_seconds: float) -> None:
        """Drop the connection without a goodbye, as a bad network does."""
        if self._link is not None:
            self._absence_seconds = absence_seconds
            self._link.abort()

    async def _restart(self, unit: Unit, delay_seconds: float) -> None:
        """Let a unit go away with a goodbye, and return once it is there again."""
        await asyncio.sleep(delay_seconds)
        link = self._link
        pause = unit.draw.uniform(*RESTART_SECONDS)
        unit.say_goodbye()
        if unit is not self.head:
            await asyncio.sleep(pause)
            unit.start()
            unit.renew_session()
            if self._link is not None and self._link is link:
                unit.be_born()
            return
        for child in self.units.values():
            if child is not unit:
                child.say_goodbye()
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.get_running_loop().create_future()
        # Two reboots at once are one: both return when it is there again.
        there_again = self._restarting
        self._absence_seconds = pause
        unit.start()
        if link is not None:
            await link.close()
        await asyncio.shield(there_again)

    def _arrived(self, topic: str, payload: bytes) -> None:
        base, _, leaf = topic.rpartition("/down/")
        uid = base.rpartition("/")[2]
        if (obedience := self._obedience.get(uid)) is None:
            return
        if self.units[uid].prefix == base:
            obedience.take(leaf, payload)

    def _confirmed(self, mid: int) -> None:
        for obedience in self._obedience.values():
            obedience.confirmed(mid)
