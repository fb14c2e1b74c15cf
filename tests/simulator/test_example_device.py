"""examples/device.py follows the protocol, on a real broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.broker_process import BASE, BrokerProcess
from tests.simulator.platform_client import FakePlatform
from tests.waiting import wait_until


@pytest.fixture
def platform(broker: BrokerProcess) -> Iterator[FakePlatform]:
    client = FakePlatform.connect(broker)
    yield client
    client.close()


def test_the_example_connects_executes_commands_once_and_says_goodbye(
    broker: BrokerProcess, platform: FakePlatform, tmp_path: Path
) -> None:
    uid = f"example-{uuid4().hex[:8]}"
    secret = broker.add_device(uid)
    words = [sys.executable, str(BASE / "examples/device.py"), "--uid", uid]
    words += ["--port", str(broker.port), "--secret", secret]
    process = subprocess.Popen([*words, "--flash", str(tmp_path / "flash.json")])
    try:
        wait_until(lambda: platform.of(uid, "reported"), what="its birth")
        identify = platform.send(uid, "identify", {"seconds": 2})
        wait_until(lambda: platform.of(uid, "result", identify), what="a result")
        platform.send(uid, "identify", command_id=identify)
        wait_until(lambda: len(platform.of(uid, "result", identify)) == 2, what="again")
        update = platform.send(uid, "update_firmware", {"version": "2.0.0"})
        wait_until(lambda: platform.of(uid, "result", update), what="an update")
        desired = platform.desire(uid, 4, {"interval": 9})
        wait_until(lambda: platform.of(uid, "result", desired), what="configuration")
        often = platform.desire(uid, 5, {"interval": 0.1})
        wait_until(lambda: platform.of(uid, "result", often), what="a short interval")
        assert not _late_readings(platform, uid)
        with _replaced(broker, uid, secret):
            wait_until(lambda: _late_readings(platform, uid), what="late readings")
    finally:
        process.terminate()
        assert process.wait(10) == 0
    wait_until(
        lambda: platform.of(uid, "status")[-1].status == "goodbye", what="a goodbye"
    )

    born = [m for m in platform.of(uid, "status") if m.status == "online"]
    assert [birth.boot for birth in born] == [1, 2, 2]
    first, second = platform.of(uid, "result", identify)
    assert first.payload == second.payload == {"blinked_seconds": 2}
    last = platform.of(uid, "reported")[-1].reported
    assert last == {"firmware": "2.0.0", "config_version": "c5", "interval": 0.1}
    for message in platform.of(uid, "telemetry"):
        assert all(entry.ts <= message.ts for entry in message.history)
        assert not (message.metrics and message.history)


@contextmanager
def _replaced(broker: BrokerProcess, uid: str, secret: str) -> Iterator[None]:
    """Take the device's place for a moment: the broker cuts its connection."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=uid)
    client.username_pw_set(uid, secret)
    client.reconnect_delay_set(min_delay=60, max_delay=60)  # it does not fight back
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    yield
    client.disconnect()
    client.loop_stop()


def _late_readings(platform: FakePlatform, uid: str) -> list[Any]:
    return [entry for m in platform.of(uid, "telemetry") for entry in m.history]
