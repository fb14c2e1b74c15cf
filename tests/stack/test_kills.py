"""Rule 1 on the real platform: acknowledged messages survive any SIGKILL."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.stack.clients import Api, StockDevice
from tests.stack.test_contract_loop import come_online, new_device
from tests.waiting import wait_until

pytestmark = pytest.mark.stack

SEED = 20_261_126
MESSAGES_PER_SECOND = 100
TRAFFIC_SECONDS = 5.0
KILLS = 3  # each process once
KILLS_AT_FULL_SIZE = 50
PROCESSES = ("bridge", "postgres", "broker")
# The bridge stores a message about 0.1 s after the broker has acknowledged it; a busy
# machine may need longer.
DELIVERED_SECONDS = 3.0


class Reporter:
    """A device that raises one alarm per message, and records all acknowledgements.

    Its messages have (boot, seq), so that one that is delivered twice is stored once.
    """

    def __init__(self, device: StockDevice) -> None:
        self.uid = device.uid
        self.sent: dict[int, str] = {}
        self.acknowledged: dict[str, float] = {}
        self._seq = 0
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, device.uid, clean_session=False
        )
        self._client.username_pw_set(device.uid, device.secret)
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", device.port)
        self._client.loop_start()

    def report(self) -> None:
        self._seq += 1
        code = f"{self.uid}-{self._seq:06d}"
        event = {"code": code, "severity": "info", "state": "raised"}
        message = json.dumps({**event, "boot": 1, "seq": self._seq})
        info = self._client.publish(f"iot/v1/{self.uid}/event", message, qos=1)
        self.sent[info.mid] = code

    def has_open(self) -> bool:
        """Return whether some messages are not acknowledged yet."""
        return not set(self.sent.values()) <= self.acknowledged.keys()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason: Any, properties: Any
    ) -> None:
        # The acknowledgement may come before publish() has returned the id.
        while mid not in self.sent:
            time.sleep(0.001)
        self.acknowledged[self.sent[mid]] = time.monotonic()


@pytest.fixture
def reporters(platform_stack: Any) -> Iterator[list[Reporter]]:
    """Several devices, each with few messages in flight, so that repeats are known."""
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    reporters = [Reporter(new_device(api, platform_stack)) for _ in range(8)]
    yield reporters
    for reporter in reporters:
        reporter.close()


def stored_counts(platform_stack: Any, reporters: list[Reporter]) -> dict[str, int]:
    """Return how often each message is stored."""
    rows = platform_stack.sql(
        "SELECT a.code, a.count FROM state_alarm a JOIN registry_device d"
        " ON d.id = a.device_id WHERE d.uid = ANY(%s)",
        [[reporter.uid for reporter in reporters]],
        role="iot_platform",
    )
    return dict(rows)


def report_under_a_kill(
    platform_stack: Any, reporters: list[Reporter], process: str, after: float
) -> float:
    """Send at a steady rate while a process is killed; return the time of the kill."""
    killed_at: list[float] = []

    def kill() -> None:
        killed_at.append(time.monotonic())
        platform_stack.kill(process)

    timer = threading.Timer(after, kill)
    timer.start()
    end = time.monotonic() + TRAFFIC_SECONDS
    while time.monotonic() < end:
        for reporter in reporters:
            reporter.report()
            time.sleep(1 / MESSAGES_PER_SECOND)
    timer.join()
    wait_until(
        lambda: not any(reporter.has_open() for reporter in reporters),
        what="PUBACK of all",
    )
    return killed_at[0]


def test_every_acknowledged_message_is_stored_once_after_kills_at_random_points(
    platform_stack: Any, reporters: list[Reporter], is_long: bool
) -> None:
    chance = random.Random(SEED)
    lost: set[str] = set()
    for number in range(KILLS_AT_FULL_SIZE if is_long else KILLS):
        process = PROCESSES[number % len(PROCESSES)]
        after = chance.uniform(0.2, TRAFFIC_SECONDS - 0.5)
        killed_at = report_under_a_kill(platform_stack, reporters, process, after)
        acknowledged = {
            code: at for r in reporters for code, at in r.acknowledged.items()
        }
        # A killed broker loses messages that it acknowledged but did not deliver to us.
        at_risk = {
            code
            for code, at in acknowledged.items()
            if process == "broker" and killed_at - DELIVERED_SECONDS < at < killed_at
        }
        expected = acknowledged.keys() - at_risk - lost

        def missing(wanted: set[str] = expected) -> set[str]:
            return wanted - stored_counts(platform_stack, reporters).keys()

        wait_until(
            lambda look=missing: not safely(look),  # type: ignore[misc]
            what=f"every message stored after kill {number} of {process}",
        )
        lost |= at_risk - stored_counts(platform_stack, reporters).keys()

    counts = stored_counts(platform_stack, reporters)
    assert {code: n for code, n in counts.items() if n != 1} == {}


def test_a_command_times_out_even_if_redis_lost_everything(
    platform_stack: Any,
) -> None:
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    device = new_device(api, platform_stack)
    come_online(api, device)
    patience = {"receive_timeout_seconds": 3, "attempts": 1}

    asked = api.post(
        "/api/v1/commands/",
        {"device": device.uid, "name": "identify", "params": {}, "policy": patience},
        Idempotency_Key=device.uid,
    )
    platform_stack.kill("valkey")

    assert asked.status == 201, asked

    def has_ended() -> bool:
        seen = api.get(f"/api/v1/commands/{asked.body['id']}/").body
        return bool(seen["status"] == "timed_out" and seen["failure_class"] == "no_ack")

    wait_until(has_ended, what="the sweep has looked at it")


def safely(look: Any) -> Any:
    """Query a database that may be restarting; return that as an answer."""
    import psycopg

    try:
        return look()
    except psycopg.OperationalError:
        return {"the database does not answer"}
