"""A scene in a running simulator: asked for by a file, played until its end.

`manage.py simulate --scene` writes the file; the simulator of the same data folder
finds it. A second connection of its own would take each device's session.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.scenes.acts import ACTS, Do
from iotplatform.simulator.station import Station

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.5
# The broker must have what a device says last, before its connection is cut.
LEAVE_AFTER_SECONDS = 2.0


class Request(msgspec.Struct, kw_only=True):
    """A scene that was asked for."""

    scene: str
    uids: list[str]
    until: float  # seconds since the epoch
    version: str = ""
    playing: int = -1  # how many devices the simulator has of these; -1: not seen yet


def request_path(folder: Path) -> Path:
    return folder / "scene.json"


def read_request(path: Path) -> Request | None:
    """Return the request; None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Request)
    except (OSError, msgspec.DecodeError):
        return None


def write_request(path: Path, request: Request) -> None:
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(request))
    os.replace(new, path)


class Stage:
    """Plays the scenes that are asked for, one at a time."""

    def __init__(self, folder: Path, stations: dict[str, Station]) -> None:
        self.path = request_path(folder)
        self._stations = stations
        self._playing: Request | None = None
        self._leave_at = 0.0
        # What devices do as soon as they are connected.
        self._waiting: list[tuple[Station, SimulatedDevice, Do, str]] = []

    async def run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            try:
                self.look(time.time())
            except OSError as error:
                logger.warning("cannot read or write %s: %s", self.path, error)

    def look(self, now: float) -> None:
        """Begin, continue or end a scene."""
        asked = read_request(self.path)
        playing = self._playing
        if playing is None and asked is not None and asked.scene in ACTS:
            self._begin(asked, now)
        elif playing is not None and (asked is None or now >= playing.until):
            self._end(playing)
        elif playing is not None and 0 < self._leave_at <= now:
            self._leave_at = 0.0
            for station in {station for station, _ in self._who(playing)}:
                station.leave()
        self._act()

    def _begin(self, asked: Request, now: float) -> None:
        self._playing = asked
        who = list(self._who(asked))
        asked.playing = len(who)
        if asked.until <= now:  # its simulator was stopped in the middle
            self._end(asked)
            return
        logger.info("scene %s: %d devices", asked.scene, len(who))
        act = ACTS[asked.scene]
        self._waiting = [(*pair, act.begin, asked.version) for pair in who]
        self._leave_at = now + LEAVE_AFTER_SECONDS if act.leaves else 0.0
        write_request(self.path, asked)

    def _end(self, played: Request) -> None:
        logger.info("scene %s has ended", played.scene)
        self._playing, self._leave_at = None, 0.0
        self.path.unlink(missing_ok=True)
        end = ACTS[played.scene].end
        self._waiting = [(*pair, end, "") for pair in self._who(played)]
        for station, *_ in self._waiting:
            station.come_back()

    def _act(self) -> None:
        waiting, self._waiting = self._waiting, []
        for station, device, do, version in waiting:
            if station.is_up:
                do(device, version)
            else:
                self._waiting.append((station, device, do, version))

    def _who(self, asked: Request) -> Iterable[tuple[Station, SimulatedDevice]]:
        wanted = set(asked.uids)
        for station in self._stations.values():
            for uid, device in station.devices.items():
                if uid in wanted:
                    yield station, device
