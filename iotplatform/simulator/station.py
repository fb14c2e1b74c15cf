"""One connection and the devices that use it: one device, or a gateway and children."""

from __future__ import annotations

import asyncio
import logging
from random import Random

from iotplatform.simulator.command_handler import CommandHandler
from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.execution_journal import ExecutionJournal
from iotplatform.simulator.link import Address, DeviceLink, Refused, Unreachable, Will
from iotplatform.simulator.report import Report

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
# A refused device retries slowly: its credential may not exist yet.
REFUSED_RETRY_SECONDS = 15.0
# How long a restart takes.
RESTART_SECONDS = (0.5, 2.0)


class Station:
    """Keeps one connection alive, through drops, restarts and outages."""

    def __init__(
        self,
        head: SimulatedDevice,
        children: list[SimulatedDevice],
        *,
        address: Address,
        secret: str,
        journal: ExecutionJournal,
        report: Report,
    ) -> None:
        self.head = head
        self.devices = {device.uid: device for device in [head, *children]}
        self._address = address
        self._secret = secret
        self._report = report
        self._handlers = {
            uid: CommandHandler(
                device, journal, restart=self._restart, crash=self._crash
            )
            for uid, device in self.devices.items()
        }
        self._draw = Random(f"station:{head.uid}")
        self._link: DeviceLink | None = None
        self._is_stopping = False
        self._absence_seconds = 0.0
        self._restarting: asyncio.Future[None] | None = None
        self._may_connect = asyncio.Event()
        self._may_connect.set()

    @property
    def is_up(self) -> bool:
        return self._link is not None and self._link.is_up

    def leave(self) -> None:
        """Lose the connection without a goodbye, until ``come_back``."""
        self._may_connect.clear()
        self.drop(0.0)

    def come_back(self) -> None:
        self._may_connect.set()

    def publish(self, topic: str, payload: bytes, retain: bool) -> int | None:
        """Publish for any of the devices; return None without a connection."""
        if self._link is None or not self._link.is_up:
            return None
        self._report.published += 1
        return self._link.publish(topic, payload, retain=retain)

    async def run(self, first_delay_seconds: float) -> None:
        """Connect, serve the connection, reconnect when it is lost; until stopped."""
        await asyncio.sleep(first_delay_seconds)
        delay = FIRST_RETRY_SECONDS
        while not self._is_stopping:
            await self._may_connect.wait()
            try:
                link = await self._open()
            except Refused as error:
                self._report.refused(self.head.uid, str(error))
                delay = max(delay, REFUSED_RETRY_SECONDS)
            except Unreachable as error:
                self._report.unreachable(self.head.uid, str(error))
            else:
                delay = FIRST_RETRY_SECONDS
                await self._serve(link)
                if self._is_stopping:
                    return
                if self._absence_seconds:
                    await asyncio.sleep(self._absence_seconds)
                    self._absence_seconds = 0.0
                    continue
            await asyncio.sleep(delay * self._draw.uniform(0.5, 1.0))
            delay = min(delay * 2, LONGEST_RETRY_SECONDS)

    async def stop(self) -> None:
        """Publish a goodbye for every device, and disconnect."""
        self._is_stopping = True
        for handler in self._handlers.values():
            handler.stop()
        link = self._link
        if link is None or not link.is_up:
            return
        for device in reversed(self.devices.values()):
            device.say_goodbye()
        await link.close()

    async def _open(self) -> DeviceLink:
        for device in self.devices.values():
            device.renew_session()
        head = self.head
        link = DeviceLink(head.uid, self._arrived, self._confirmed)
        filters = [f"{head.prefix}/down/command", f"{head.prefix}/down/desired"]
        if len(self.devices) > 1:
            filters.append(f"{head.prefix}/child/+/down/#")
        will = Will(f"{head.prefix}/status", head.status("offline"))
        await link.open(self._address, secret=self._secret, will=will, filters=filters)
        return link

    async def _serve(self, link: DeviceLink) -> None:
        self._link = link
        self._report.connected += 1
        if self._restarting is not None and not self._restarting.done():
            self._restarting.set_result(None)
        for uid, device in self.devices.items():
            device.announce()
            self._handlers[uid].resend_results()
        tending = asyncio.create_task(self._tend(link))
        try:
            await link.ended.wait()
        finally:
            tending.cancel()
            for device in self.devices.values():
                device.stop_publishing()
            self._report.connected -= 1
            self._link = None

    async def _tend(self, link: DeviceLink) -> None:
        """Send keep-alives, drop the connection of a flaky device, let one sleep."""
        profile, draw = self.head.profile, self.head.draw
        loop = asyncio.get_running_loop()
        drop_at = sleep_at = float("inf")
        if profile.drop_seconds:
            drop_at = loop.time() + draw.expovariate(1 / profile.drop_seconds)
        if profile.sleep_seconds[1] and len(self.devices) == 1:
            sleep_at = loop.time() + draw.uniform(*profile.awake_seconds)
        while True:
            next_at = min(drop_at, sleep_at)
            await asyncio.sleep(min(30.0, max(0.0, next_at - loop.time())))
            if loop.time() >= drop_at:
                self._absence_seconds = draw.uniform(*profile.absence_seconds)
                link.abort()
                return
            if loop.time() >= sleep_at:
                self._absence_seconds = draw.uniform(*profile.sleep_seconds)
                self.head.say_sleeping(self._absence_seconds)
                await link.close()
                return
            link.tick()

    def drop(self, absence_seconds: float) -> None:
        """Drop the connection without a goodbye, like a bad network."""
        if self._link is not None:
            self._absence_seconds = absence_seconds
            self._link.abort()

    def _crash(self, device: SimulatedDevice) -> None:
        """Start a device again as after a loss of power: nobody says goodbye."""
        device.start()
        if device is self.head:
            self.drop(device.draw.uniform(*RESTART_SECONDS))

    async def _restart(self, device: SimulatedDevice, delay_seconds: float) -> None:
        """Let a device leave with a goodbye, and return once it is back."""
        await asyncio.sleep(delay_seconds)
        link = self._link
        pause = device.draw.uniform(*RESTART_SECONDS)
        device.say_goodbye()
        if device is not self.head:
            await asyncio.sleep(pause)
            device.start()
            device.renew_session()
            if self._link is not None and self._link is link:
                device.announce()
            return
        for child in self.devices.values():
            if child is not device:
                child.say_goodbye()
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.get_running_loop().create_future()
        # Two reboots at the same time are one: both return when the device is back.
        back_again = self._restarting
        self._absence_seconds = pause
        device.start()
        if link is not None:
            await link.close()
        await asyncio.shield(back_again)

    def _arrived(self, topic: str, payload: bytes) -> None:
        base, _, leaf = topic.rpartition("/down/")
        uid = base.rpartition("/")[2]
        if (handler := self._handlers.get(uid)) is None:
            return
        if self.devices[uid].prefix == base:
            handler.receive(leaf, payload)

    def _confirmed(self, mid: int) -> None:
        for handler in self._handlers.values():
            handler.confirmed(mid)
