"""Rule 1 on real parts: what the bridge acknowledged survives any SIGKILL."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.stack.clients import Api, StockDevice, eventually
from tests.stack.test_contract_loop import come_online, new_device

pytestmark = pytest.mark.stack

MESSAGES_PER_SECOND = 100
TRAFFIC_SECONDS = 6.0
KILL_AFTER_SECONDS = 2.0
KILLS_AT_FULL_SIZE = 10


class Reporter:
    """A device that raises one alarm a message, and knows which the broker took."""

    def __init__(self, device: StockDevice) -> None:
        self.uid = device.uid
        self.sent: dict[int, str] = {}
        self.taken: set[str] = set()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, device.uid, clean_session=False
        )
        self._client.username_pw_set(device.uid, device.secret)
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 1)
        self._client.connect("127.0.0.1", device.port)
        self._client.loop_start()

    def report_for(self, seconds: float, prefix: str) -> None:
        """Send events at a steady rate, whatever happens to the platform."""
        end = time.monotonic() + seconds
        number = 0
        while time.monotonic() < end:
            code = f"{prefix}-{number:05d}"
            message = {"code": code, "severity": "info", "state": "raised"}
            topic = f"iot/v1/{self.uid}/event"
            info = self._client.publish(topic, json.dumps(message), qos=1)
            self.sent[info.mid] = code
            number += 1
            time.sleep(1 / MESSAGES_PER_SECOND)

    def wait_until_all_taken(self) -> None:
        """Wait until the broker has acknowledged every message."""
        eventually(
            lambda: len(self.taken) == len(self.sent), within=60, what="PUBACK of all"
        )

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()

    def _on_publish(
        self, client: Any, userdata: Any, mid: int, reason: Any, properties: Any
    ) -> None:
        # The acknowledgement may come before publish() has returned the id.
        while mid not in self.sent:
            time.sleep(0.001)
        self.taken.add(self.sent[mid])


@pytest.fixture
def reporter(platform_stack: Any) -> Iterator[Reporter]:
    api = Api.sign_in(platform_stack.url, "operator@acme", "demo")
    reporter = Reporter(new_device(api, platform_stack))
    yield reporter
    reporter.close()


def stored_codes(platform_stack: Any, uid: str, prefix: str) -> set[str]:
    rows = platform_stack.sql(
        "SELECT a.code FROM state_alarm a JOIN registry_device d ON d.id = a.device_id"
        " WHERE d.uid = %s AND a.code LIKE %s",
        [uid, f"{prefix}-%"],
    )
    return {code for (code,) in rows}


@pytest.mark.parametrize("process", ["bridge", "postgres"])
def test_no_message_is_missing_after_a_kill_under_traffic(
    platform_stack: Any, reporter: Reporter, process: str, is_long: bool
) -> None:
    for kill_number in range(KILLS_AT_FULL_SIZE if is_long else 1):
        prefix = f"{process}-{kill_number}"
        kill = threading.Timer(KILL_AFTER_SECONDS, platform_stack.kill, [process])
        kill.start()
        reporter.report_for(TRAFFIC_SECONDS, prefix)
        kill.join()
        reporter.wait_until_all_taken()
        wait_until_all_stored(platform_stack, reporter, process)


def wait_until_all_stored(platform_stack: Any, reporter: Reporter, prefix: str) -> None:
    """Wait until every message that the broker took is an alarm in the database."""

    def missing() -> set[str]:
        return reporter.taken - stored_codes(platform_stack, reporter.uid, prefix)

    eventually(lambda: not safely(missing), within=60, what="every message stored")


def test_everything_goes_on_after_the_broker_is_killed_under_traffic(
    platform_stack: Any, reporter: Reporter
) -> None:
    kill = threading.Timer(KILL_AFTER_SECONDS, platform_stack.kill, ["broker"])
    kill.start()
    reporter.report_for(TRAFFIC_SECONDS, "broker")
    kill.join()
    reporter.wait_until_all_taken()
    reporter.sent.clear()
    reporter.taken.clear()
    reporter.report_for(1.0, "afterwards")
    reporter.wait_until_all_taken()

    wait_until_all_stored(platform_stack, reporter, "afterwards")


def test_a_command_comes_to_its_end_though_redis_forgot_everything(
    platform_stack: Any,
) -> None:
    api = Api.sign_in(platform_stack.url, "operator@acme", "demo")
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

    eventually(has_ended, within=60, what="the sweep has looked at it")


def safely(look: Any) -> Any:
    """Look at a database that may be starting again; not yet is an answer."""
    import psycopg

    try:
        return look()
    except psycopg.OperationalError:
        return {"the database does not answer"}
