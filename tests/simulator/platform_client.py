"""A tiny platform for simulator tests: receives all messages, and sends commands."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from iotplatform.common.messages import Uplink, parse
from iotplatform.simulator.link import Address
from iotplatform.simulator.targets import Target
from iotplatform.simulator.world import Plan, World
from tests.broker_process import BrokerProcess
from tests.waiting import PATIENCE

KEY = b"0123456789abcdef0123456789abcdef"


async def until(holds: Callable[[], Any], what: str) -> Any:
    """Wait on the event loop for a condition; return its true value."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (answer := holds()):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {PATIENCE:g} s: {what}") from None
    return answer


@dataclass
class FakePlatform:
    """Records all messages of devices, in order, and sends commands."""

    client: Client
    received: list[Uplink] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def connect(cls, broker: BrokerProcess) -> FakePlatform:
        url = urlsplit(broker.url)
        client = Client(CallbackAPIVersion.VERSION2, f"@bridge-{uuid4().hex[:8]}")
        client.username_pw_set(unquote(url.username or ""), unquote(url.password or ""))
        platform = cls(client)
        subscribed = threading.Event()
        client.on_message = platform._receive
        client.on_connect = lambda c, *_: c.subscribe("iot/v1/#", qos=1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect(url.hostname or "", url.port or 0)
        client.loop_start()
        assert subscribed.wait(10)
        return platform

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _receive(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if "/down/" in message.topic or message.retain or not message.payload:
            return
        uplink = parse(
            message.topic,
            message.payload,
            retained=False,
            arrived_at=datetime.now(UTC),
            adapter="mqtt",
        )
        with self._lock:
            self.received.append(uplink)

    def of(self, uid: str, kind: str = "", command_id: str = "") -> list[Any]:
        """The messages of one device, oldest first."""
        with self._lock:
            return [
                uplink.message
                for uplink in self.received
                if uplink.uid == uid
                and kind in ("", uplink.kind)
                and command_id in ("", str(uplink.command_id or ""))
            ]

    def send(
        self,
        base: str,
        name: str,
        params: dict[str, Any] | None = None,
        *,
        command_id: str = "",
        expires_in: float = 60,
    ) -> str:
        """Send a command to ``iot/v1/{base}``; return its id."""
        command_id = command_id or str(uuid4())
        body = {
            "id": command_id,
            "name": name,
            "params": params or {},
            "attempt": 1,
            "expires_at": (
                datetime.now(UTC) + timedelta(seconds=expires_in)
            ).isoformat(),
        }
        self.client.publish(f"iot/v1/{base}/down/command", json.dumps(body), qos=1)
        return command_id

    def desire(self, base: str, version: int, desired: dict[str, Any]) -> str:
        """Publish a retained configuration; return the command's id."""
        command_id = str(uuid4())
        body = {"version": version, "desired": desired, "command_id": command_id}
        topic = f"iot/v1/{base}/down/desired"
        self.client.publish(topic, json.dumps(body), qos=1, retain=True)
        return command_id


@asynccontextmanager
async def simulated(
    broker: BrokerProcess, folder: Path, *targets: Target, seed: int = 1
) -> AsyncIterator[World]:
    """Run a simulation with these devices, and end it like SIGTERM."""
    plan = Plan(
        address=Address("127.0.0.1", broker.port), key=KEY, folder=folder, seed=seed
    )
    world = World(plan)
    running = asyncio.create_task(world.run(targets))
    try:
        yield world
    finally:
        world.stop()
        await running
