"""The simulated fleet: many stations on one event loop, and their saved memory."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.link import Address
from iotplatform.simulator.memory import Memory, Store
from iotplatform.simulator.metrics import first_battery
from iotplatform.simulator.profiles import (
    DEFAULT_MIX,
    PROFILES,
    Profile,
    choose,
    first_firmware,
)
from iotplatform.simulator.report import Report
from iotplatform.simulator.scenes.stage import Stage
from iotplatform.simulator.secrets import device_secret
from iotplatform.simulator.station import Station
from iotplatform.simulator.targets import Group, Target, grouped

logger = logging.getLogger(__name__)

SAVE_SECONDS = 5.0
# Connections per second at the start: the broker checks a password for each.
CONNECTIONS_PER_SECOND = 100.0
GOODBYE_SECONDS = 4.0
SPARE_DESCRIPTORS = 200
Reread = Callable[[], Awaitable[Sequence[Target]]]


@dataclass(frozen=True)
class Plan:
    """The settings of a simulation."""

    address: Address
    key: bytes
    folder: Path
    seed: int = 1
    mix: dict[str, float] = field(default_factory=lambda: dict(DEFAULT_MIX))


class World:
    """Runs the stations of a fleet until it is stopped."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.report = Report()
        self.store = Store(plan.folder)
        self.stations: dict[str, Station] = {}
        self._stage = Stage(plan.folder, self.stations)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stop = asyncio.Event()
        self._draw = Random(f"world:{plan.seed}")

    def stop(self) -> None:
        """Ask all devices to disconnect with a goodbye."""
        self._stop.set()

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    async def run(
        self,
        targets: Sequence[Target],
        *,
        reread: Reread | None = None,
        reread_seconds: float = 30.0,
    ) -> None:
        """Simulate ``targets``, and devices that ``reread`` adds, until stopped."""
        self.add(targets)
        background = [
            asyncio.create_task(self._save()),
            asyncio.create_task(self.report.run()),
            asyncio.create_task(self._stage.run()),
        ]
        if reread is not None:
            background.append(asyncio.create_task(self._reread(reread, reread_seconds)))
        await self._stop.wait()
        for task in background:
            task.cancel()
        await self._say_goodbye()
        self.store.close()

    def add(self, targets: Sequence[Target]) -> None:
        """Add the connections that do not exist yet."""
        groups = [g for g in grouped(targets) if g.head.uid not in self.stations]
        _allow_descriptors(len(self.stations) + len(groups))
        spread = len(groups) / CONNECTIONS_PER_SECOND
        for group in groups:
            station = self._station(group)
            self.stations[group.head.uid] = station
            run = station.run(self._draw.uniform(0, spread))
            self._tasks[group.head.uid] = asyncio.create_task(run)
        self.report.devices = len(self.stations)

    def _station(self, group: Group) -> Station:
        devices = [self._device(target) for target in (group.head, *group.children)]
        station = Station(
            devices[0],
            devices[1:],
            address=self._plan.address,
            secret=group.head.secret or device_secret(self._plan.key, group.head.uid),
            journal=self.store.journal,
            report=self.report,
        )
        for device in devices:
            device.carrier = station.publish
        return station

    def _device(self, target: Target) -> SimulatedDevice:
        plan = self._plan
        if target.profile:
            profile = PROFILES[target.profile]
        else:
            profile = choose(plan.mix, seed=plan.seed, uid=target.uid)
        memory = self.store.devices.get(target.uid)
        if memory is None or not memory.firmware:
            memory = memory or Memory()
            self._equip(memory, target, profile)
            self.store.devices[target.uid] = memory
        return SimulatedDevice(target, memory, profile=profile, seed=plan.seed)

    def _equip(self, memory: Memory, target: Target, profile: Profile) -> None:
        seed, uid = self._plan.seed, target.uid
        memory.firmware = target.firmware or first_firmware(profile, seed=seed, uid=uid)
        memory.battery = first_battery(profile.battery_range, seed=seed, uid=uid)
        memory.config = dict(target.config)
        memory.desired_version = target.desired_version
        memory.config_version = f"c{target.desired_version}"

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            try:
                await self.store.save()
            except OSError as error:
                logger.error("cannot save the devices' memory: %s", error)

    async def _reread(self, reread: Reread, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                self.add(await reread())
            except Exception as error:
                # The database may be away for a while; the devices continue.
                logger.warning("cannot reload the list of devices: %s", error)

    async def _say_goodbye(self) -> None:
        goodbyes = [station.stop() for station in self.stations.values()]
        try:
            await asyncio.wait_for(
                asyncio.gather(*goodbyes, return_exceptions=True), GOODBYE_SECONDS
            )
        except TimeoutError:
            logger.warning("some devices disconnected without a goodbye")
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def _allow_descriptors(connections: int) -> None:
    """Raise the limit of open files as far as allowed; warn if that is too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    if soft >= wanted:
        return
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    if limit < wanted:
        logger.warning(
            "%d connections need %d open files, but this process may open only %d",
            connections,
            wanted,
            limit,
        )
