"""Devices that the test vectors are played against, without a network."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from iotplatform.common.instants import instant_text
from iotplatform.simulator.command_handler import CommandHandler
from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.memory import Memory, Store
from iotplatform.simulator.profiles import Profile
from iotplatform.simulator.targets import Target
from tests.broker_process import BASE

Answer = tuple[str, dict[str, Any]]  # ".../command/{id}/ack", and the body
AT_ONCE = (0.0, 0.0)


class Player(Protocol):
    """A device with an empty memory in a folder."""

    runs: int

    def take(self, kind: str, body: dict[str, Any], *, cut: bool) -> list[Answer]:
        """Give it a message of down/command or down/desired; return what it says."""

    def restart(self) -> None: ...

    def interval(self) -> Any: ...


class PowerCut(BaseException):
    """The power fails in the middle of an action."""


class MqttExample:
    """examples/device.py."""

    def __init__(self, folder: Path) -> None:
        self._module = _load("device")
        self._folder = folder
        self._said: list[Answer] = []
        self.runs, self._cut = 0, False
        self._module.ACTIONS["identify"] = self._identify
        self.restart()

    def restart(self) -> None:
        said = self._said

        class Silent(self._module.Device):  # type: ignore[misc, name-defined]
            def send(self, leaf: str, body: Any, *, retain: bool = False) -> None:
                said.append((leaf, body))

        flash = self._module.Flash(self._folder / "flash.json")
        self._device = Silent("dev-1", "secret", flash)

    def take(self, kind: str, body: dict[str, Any], *, cut: bool) -> list[Answer]:
        self._said.clear()
        self._cut = cut
        try:
            self._device.handle(kind, body)
        except PowerCut:
            return []
        return list(self._said)

    def interval(self) -> Any:
        return self._device.flash.config["interval"]

    def _identify(self, device: Any, params: Any) -> dict[str, Any]:
        self.runs += 1
        if self._cut:
            raise PowerCut
        return {}


class HttpExample:
    """examples/http_device.py."""

    def __init__(self, folder: Path) -> None:
        self._module = _load("http_device")
        self._folder = folder
        self._said: list[Answer] = []
        self.runs, self._cut = 0, False
        self._module.ACTIONS["identify"] = self._identify
        self.restart()

    def restart(self) -> None:
        said = self._said

        class Silent(self._module.Device):  # type: ignore[misc, name-defined]
            def send(self, path: str, **body: Any) -> None:
                said.append((path.replace("commands/", "command/"), body))

        self._device = Silent("", "dev-1", "secret", self._folder / "memory.json")

    def take(self, kind: str, body: dict[str, Any], *, cut: bool) -> list[Answer]:
        self._said.clear()
        self._cut = cut
        try:
            if kind == "command":
                self._device.execute(body)
            else:
                self._device.configure(body)
        except (PowerCut, KeyError, TypeError):
            return []
        return list(self._said)

    def interval(self) -> Any:
        return self._device.config["interval"]

    def _identify(self, device: Any, params: Any) -> None:
        self.runs += 1
        if self._cut:
            raise PowerCut


class SmallExample:
    """examples/small_device.py."""

    def __init__(self, folder: Path) -> None:
        self._module = _load("small_device")
        self._path = str(folder / "ring")
        self.runs, self._cut = 0, False
        self.restart()

    def restart(self) -> None:
        actions = {"identify": self._identify}
        self._core = self._module.Core(actions, self._path, {"interval": 30})

    def take(self, kind: str, body: dict[str, Any], *, cut: bool) -> list[Answer]:
        self._cut = cut
        body = self._module.read(json.dumps(body))
        try:
            if kind == "command":
                return list(self._core.command(body, instant_text(datetime.now(UTC))))
            return list(self._core.configure(body))
        except PowerCut:
            return []

    def interval(self) -> Any:
        return self._core.config["interval"]

    def _identify(self, params: Any) -> None:
        self.runs += 1
        if self._cut:
            raise PowerCut


class Simulated:
    """The simulator's device."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._said: list[Answer] = []
        self._store: Store | None = None
        self.restart()

    @property
    def runs(self) -> int:
        lines = (self._folder / "journal.ndjson").read_text().splitlines()
        return sum(json.loads(line)["name"] != "set_config" for line in lines)

    def restart(self) -> None:
        """Start as after a power cut: nothing is saved but the journal."""
        if self._store is not None:
            self._store.journal.close()
        self._store = Store(self._folder)
        self._memory = self._store.devices.setdefault("dev-1", Memory())

    def take(self, kind: str, body: dict[str, Any], *, cut: bool) -> list[Answer]:
        self._said.clear()
        asyncio.run(self._take(kind, json.dumps(body).encode(), cut=cut))
        return list(self._said)

    async def _take(self, kind: str, payload: bytes, *, cut: bool) -> None:
        assert self._store is not None
        profile = Profile(
            "at once",
            ack_seconds=AT_ONCE,
            execute_seconds=AT_ONCE,
            crash_share=1.0 if cut else 0.0,
        )
        device = SimulatedDevice(
            Target("dev-1"),
            self._memory,
            profile=profile,
            seed=1,
            carrier=self._publish,
        )

        async def restart(device: SimulatedDevice, seconds: float) -> None:
            device.start()

        handler = CommandHandler(device, self._store.journal, restart=restart)
        handler.receive(kind, payload)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others)

    def _publish(self, topic: str, payload: bytes, retain: bool) -> int:
        self._said.append((topic.partition("dev-1/")[2], json.loads(payload)))
        return len(self._said)

    def interval(self) -> Any:
        return self._memory.config["interval"]


def _load(name: str) -> ModuleType:
    """Load an example afresh, as a device that starts would."""
    spec = importlib.util.spec_from_file_location(name, BASE / f"examples/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers_in(said: list[Answer]) -> Iterator[Answer]:
    """Yield the acknowledgements and results: the command's id, and the body."""
    for leaf, body in said:
        words = leaf.split("/")
        if words[0] == "command" and words[2] in ("ack", "result"):
            yield words[1], body
