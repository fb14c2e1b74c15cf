"""One simulated device: the messages that it sends by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from iotplatform.simulator.memory import Memory, merge
from iotplatform.simulator.metrics import BATTERY, NOISE, day_share, level_of, swing_of
from iotplatform.simulator.profiles import Profile
from iotplatform.simulator.targets import Target

encode = msgspec.json.encode
Publish = Callable[[str, bytes, bool], int | None]
TELEMETRY_SECONDS = 60
# The first values come within this time, however long the interval is.
FIRST_TELEMETRY_SECONDS = 30.0


class SimulatedDevice:
    """A device: a birth message with each connection, then heartbeats and telemetry."""

    def __init__(
        self,
        target: Target,
        memory: Memory,
        *,
        profile: Profile,
        seed: int,
        carrier: Publish = lambda topic, payload, retain: None,
    ) -> None:
        self.target = target
        self.memory = memory
        self.profile = profile
        self._seed = seed
        # Publishes for this device: over its own connection, or its gateway's.
        self.carrier = carrier
        via = f"{target.gateway_uid}/child/" if target.gateway_uid else ""
        self.prefix = f"iot/v1/{via}{target.uid}"
        self.session = ""
        self._seq = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.start()

    @property
    def uid(self) -> str:
        return self.target.uid

    def start(self) -> None:
        """Start the device: a new boot number, and the installed firmware."""
        self.memory.boot += 1
        self._seq = 0
        self.firmware = self.memory.firmware
        self.draw = Random(f"{self._seed}:{self.uid}:{self.memory.boot}")

    def renew_session(self) -> None:
        """Choose a new session id for the next connection."""
        self.session = f"{self.draw.getrandbits(64):016x}"

    def status(self, value: str) -> bytes:
        """Return a status message; the last will has no sequence number."""
        body: dict[str, Any] = {
            "status": value,
            "session": self.session,
            "boot": self.memory.boot,
        }
        if value == "online":
            body["heartbeat_seconds"] = self.target.heartbeat_seconds
        return encode(body if value == "offline" else body | self._stamp())

    def announce(self) -> None:
        """Publish birth and reported document; start heartbeats and telemetry."""
        self.carrier(f"{self.prefix}/status", self.status("online"), True)
        self.report()
        self._tasks = [
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._measure()),
        ]

    def stop_publishing(self) -> None:
        """Stop heartbeats and telemetry; running commands continue."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def say_goodbye(self) -> None:
        self.stop_publishing()
        self.carrier(f"{self.prefix}/status", self.status("goodbye"), True)

    def say_sleeping(self, seconds: float) -> None:
        """Say that silence is normal for so long."""
        self.stop_publishing()
        until = time.time_ns() // 1_000_000 + round(seconds * 1_000)
        body = {"status": "sleeping", "session": self.session, "until": until}
        self.carrier(f"{self.prefix}/status", encode(body | self._stamp()), True)

    def report(self) -> None:
        """Publish the complete reported document with a new version."""
        self.memory.reported_version += 1
        document = merge(
            {"interval": TELEMETRY_SECONDS} | self.memory.config,
            {
                "firmware": self.firmware,
                "config_version": self.memory.config_version,
            },
        )
        version = self.memory.reported_version
        self.publish("reported", {"version": version, "reported": document})

    def publish(
        self, leaf: str, body: dict[str, Any], *, copies: int = 1
    ) -> int | None:
        """Publish a message under this device's topics; return the last one's id."""
        payload, mid = encode(body | self._stamp()), None
        for _ in range(copies):
            mid = self.carrier(f"{self.prefix}/{leaf}", payload, False)
        return mid

    @property
    def interval_seconds(self) -> float:
        """Seconds between two telemetry messages, as configured."""
        return float(self.memory.config.get("interval", TELEMETRY_SECONDS))

    def _stamp(self) -> dict[str, int]:
        self._seq += 1
        now = time.time_ns() // 1_000_000
        return {"ts": now, "boot": self.memory.boot, "seq": self._seq}

    async def _beat(self) -> None:
        interval = self.target.heartbeat_seconds
        # A random start within the interval: a fleet must not send all at once.
        await asyncio.sleep(self.draw.uniform(0, interval))
        while True:
            self.publish("heartbeat", {})
            await asyncio.sleep(interval * self.draw.uniform(0.9, 1.0))

    async def _measure(self) -> None:
        first = min(self.interval_seconds, FIRST_TELEMETRY_SECONDS)
        await asyncio.sleep(self.draw.uniform(0, first))
        while True:
            self.publish("telemetry", {"metrics": self.measure(self.interval_seconds)})
            await asyncio.sleep(self.interval_seconds * self.draw.uniform(0.95, 1.05))

    def measure(self, elapsed_seconds: float) -> dict[str, float]:
        """Return metrics, ``elapsed_seconds`` after the last measurement."""
        used = self.profile.battery_per_hour * elapsed_seconds / 3_600
        # Somebody replaces an empty battery.
        self.memory.battery = self.memory.battery - used
        if self.memory.battery < 1:
            self.memory.battery = self.profile.battery_range[1]
        return {name: self._value(name) for name in self.target.metrics}

    def _value(self, metric: str) -> float:
        if metric == BATTERY:
            return round(self.memory.battery, 1)
        level = level_of(metric, seed=self._seed, uid=self.uid)
        level += self.target.offsets.get(metric, 0.0)
        swing = swing_of(metric)
        noise = self.draw.gauss(0, swing * NOISE)
        return round(level + swing * day_share(time.time()) + noise, 2)
