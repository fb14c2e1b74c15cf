"""A device on a real broker that records its acknowledged messages."""

from __future__ import annotations

import json

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from registry.models import Device
from state.models import Alarm
from tests.broker_process import BrokerProcess
from tests.waiting import wait_until


class Sender:
    """A device that publishes events and records which the broker acknowledged."""

    def __init__(self, broker: BrokerProcess, device: Device) -> None:
        self.device = device
        self.sent: set[str] = set()
        secret = broker.add_device(device.uid)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, device.uid)
        self._client.max_inflight_messages_set(1_000)
        self._client.username_pw_set(device.uid, secret)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        self.wait_until_connected()

    def wait_until_connected(self) -> None:
        wait_until(self._client.is_connected, what="the device is connected")

    def raise_alarms(self, count: int, prefix: str, message: str = "") -> None:
        """Publish alarms, and wait until the broker has acknowledged all of them."""
        topic = f"iot/v1/{self.device.uid}/event"
        published = []
        for number in range(count):
            code = f"{prefix}-{number}"
            body = {"code": code, "severity": "info", "state": "raised"}
            body |= {"message": message}
            published.append(self._client.publish(topic, json.dumps(body), qos=1))
            self.sent.add(code)
        for info in published:
            info.wait_for_publish(20)
        assert all(info.is_published() for info in published)

    def missing(self) -> set[str]:
        """Return the sent alarms that are not in the database."""
        stored = Alarm.objects.filter(device=self.device).values_list("code", flat=True)
        return self.sent - set(stored)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
