"""Steady traffic of many devices that records what the broker acknowledged."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from iotplatform.local.broker import BRIDGE_USER
from registry.models import Device
from state.models import Alarm, ConnectivityTransition
from tests.broker_process import BrokerProcess
from tests.waiting import wait_until


class Traffic:
    """Devices that raise one alarm per message; each message has its own number.

    The platform recognises a repeat among the last 64 numbers. The devices stay within
    that, so that a message that is delivered twice is stored once.
    """

    def __init__(
        self, broker: BrokerProcess, devices: Sequence[Device], *, each_second: int
    ) -> None:
        self.devices = devices
        self._pause = 1 / each_second
        self._numbers = 0
        self._published: list[tuple[str, mqtt.MQTTMessageInfo]] = []
        self._ending = threading.Event()
        # With the platform's account, which may publish for every device.
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, "@traffic")
        self._client.max_inflight_messages_set(1_000)
        self._client.username_pw_set(BRIDGE_USER, broker.broker.password)
        self._client.connect("127.0.0.1", broker.broker.platform_port)
        self._client.loop_start()
        wait_until(self._client.is_connected, what="the devices are connected")
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Traffic:
        self._thread.start()
        return self

    def publish(self, count: int) -> None:
        """Publish ``count`` messages, from the devices in turn."""
        for _ in range(count):
            self._publish_one()

    def finish(self) -> set[str]:
        """End; return the codes of the messages that the broker acknowledged."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join()
        for _, info in self._published:
            info.wait_for_publish(20)
        self._client.disconnect()
        self._client.loop_stop()
        return {code for code, _ in self._published}

    def _run(self) -> None:
        while not self._ending.wait(self._pause):
            self._publish_one()

    def _publish_one(self) -> None:
        self._numbers += 1
        seq, place = divmod(self._numbers, len(self.devices))
        uid, code = self.devices[place].uid, f"c-{self._numbers}"
        body = {
            "code": code,
            "severity": "info",
            "state": "raised",
            "boot": 1,
            "seq": seq,
        }
        topic = f"iot/v1/{uid}/event"
        info = self._client.publish(topic, json.dumps(body), qos=1)
        self._published.append((code, info))


def wait_until_stored_once(traffic: Traffic, acknowledged: set[str]) -> None:
    """Wait until each acknowledged message is in the database, exactly once."""
    alarms = Alarm.objects.filter(device__in=traffic.devices)
    wait_until(
        lambda: not acknowledged - set(alarms.values_list("code", flat=True)),
        what="every message is stored",
    )
    assert alarms.count() == len(acknowledged)
    assert not list(alarms.exclude(count=1).values_list("code", "count"))


def offline_moves(traffic: Traffic) -> int:
    """Return how often the platform judged one of the devices offline."""
    moves = ConnectivityTransition.objects.filter(device__in=traffic.devices)
    return moves.filter(moved_to="offline").count()
