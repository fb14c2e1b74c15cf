"""The simulator's devices behind one connection: they answer every command at once.

Each command is executed as in ``manage.py simulate``: the journal is on disk before the
acknowledgement. Only the connections of the devices are left out.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from iotplatform.simulator.command_handler import CommandHandler
from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.execution_journal import ExecutionJournal
from iotplatform.simulator.memory import Memory
from iotplatform.simulator.profiles import Profile
from iotplatform.simulator.targets import Target

AT_ONCE = (0.0, 0.0)
HEALTHY = Profile("at_once", ack_seconds=AT_ONCE, execute_seconds=AT_ONCE)


class Devices:
    """Every device that is addressed, made when it is first needed."""

    def __init__(self, client: mqtt.Client, journal: ExecutionJournal) -> None:
        self._client, self._journal = client, journal
        self._handlers: dict[str, CommandHandler] = {}

    def receive(self, topic: str, payload: bytes) -> None:
        """Hand a message of ``down/command`` to its device."""
        uid, _, leaf = topic.removeprefix("iot/v1/").partition("/down/")
        self.handler(uid).receive(leaf, payload)

    def handler(self, uid: str) -> CommandHandler:
        if uid not in self._handlers:
            device = SimulatedDevice(
                Target(uid), Memory(), profile=HEALTHY, seed=1, carrier=self._publish
            )
            handler = CommandHandler(device, self._journal, restart=_restart)
            self._handlers[uid] = handler
        return self._handlers[uid]

    def bear(self, uid: str) -> None:
        """Let a device come online."""
        device = self.handler(uid).device
        device.renew_session()
        self._publish(f"{device.prefix}/status", device.status("online"), True)

    def _publish(self, topic: str, payload: bytes, retain: bool) -> int:
        return self._client.publish(topic, payload, qos=1, retain=retain).mid


async def _restart(device: SimulatedDevice, seconds: float) -> None:
    device.start()


async def main() -> None:
    """Answer until interrupted; the arguments are the first and last to be born."""
    loop = asyncio.get_running_loop()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "@bench-devices")
    address = urlsplit(os.environ["MQTT_URL"])
    client.username_pw_set("@bridge", os.environ["BENCH_PASSWORD"])
    client.max_inflight_messages_set(20_000)
    journal = ExecutionJournal(Path(os.environ["IOT_DATA_DIR"]) / "bench.ndjson")
    devices = Devices(client, journal)

    def arrived(client: Any, data: Any, message: mqtt.MQTTMessage) -> None:
        loop.call_soon_threadsafe(
            devices.receive, message.topic, bytes(message.payload)
        )

    client.on_message = arrived
    client.connect("127.0.0.1", address.port or 1883)
    client.subscribe("iot/v1/+/down/command", qos=1)
    client.loop_start()
    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        devices.bear(f"bench-{number:06d}")
    print("answering", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
