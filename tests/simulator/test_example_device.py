"""examples/device.py follows the protocol, on a real broker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

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
    finally:
        process.terminate()
        assert process.wait(10) == 0
    wait_until(
        lambda: platform.of(uid, "status")[-1].status == "goodbye", what="a goodbye"
    )

    births = [m for m in platform.of(uid, "status") if m.status == "online"]
    assert [birth.boot for birth in births] == [1, 2]
    first, second = platform.of(uid, "result", identify)
    assert first.payload == second.payload == {"blinked_seconds": 2}
    last = platform.of(uid, "reported")[-1].reported
    assert last == {"firmware": "2.0.0", "config_version": "c4", "interval": 9}
