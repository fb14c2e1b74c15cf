"""The bridge on a real broker: commit before acknowledgement, kills, restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from django.db import connection, transaction
from paho.mqtt.enums import CallbackAPIVersion

from commands.models import Command, CommandEvent
from commands.tasks import process_due, tidy
from state.models import DeadLetter, Presence
from tests.adapters.bridge_process import (
    BridgeProcess,
    wait_for_listening,
    waiting_for_locks,
)
from tests.adapters.sender import Sender
from tests.broker_process import BrokerProcess
from tests.commands.units import Unit, ask, fresh
from tests.factories import DeviceFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

Start = Callable[..., BridgeProcess]


def test_a_message_is_stored_and_a_command_is_sent(
    start: Start, broker: BrokerProcess, sender: Sender
) -> None:
    wait_for_listening(start())
    sender.raise_alarms(20, "first")
    wait_until(lambda: not sender.missing(), what="all alarms are stored")
    device = sender.device
    assert Presence.objects.get(pk=device.pk).connectivity == "online"

    command = ask(Unit(device), "reboot")

    wait_until(
        lambda: Command.objects.get(pk=command.pk).status == "sent",
        what="the command is sent",
    )


class Gateway:
    """A gateway on the broker that keeps what came for its children."""

    def __init__(self, broker: BrokerProcess, uid: str) -> None:
        self.uid = uid
        self.received: list[str] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, uid)
        self._client.username_pw_set(uid, broker.add_device(uid))
        self._client.on_message = lambda c, u, m: self.received.append(m.topic)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        wait_until(self._client.is_connected, what="the gateway is connected")
        self._client.subscribe(f"iot/v1/{uid}/child/+/down/#", qos=1)

    def say(self, topic: str, body: dict[str, Any]) -> None:
        info = self._client.publish(f"iot/v1/{self.uid}/{topic}", json.dumps(body), 1)
        info.wait_for_publish(20)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_a_childs_command_waits_for_its_gateway_whose_answers_count_once(
    start: Start, broker: BrokerProcess
) -> None:
    row = DeviceFactory.create(kind="gateway")
    child = DeviceFactory.create(kind="child", gateway=row, tenant=row.tenant)
    other_row = DeviceFactory.create(kind="gateway")
    command = ask(Unit(child))
    assert fresh(command).failure_class == "gateway_unreachable"
    wait_for_listening(start())
    gateway, other = Gateway(broker, row.uid), Gateway(broker, other_row.uid)

    gateway.say("status", {"status": "online"})
    wait_until(
        lambda: Presence.objects.filter(pk=row.pk, connectivity="online").exists(),
        what="the gateway is online",
    )
    tidy()
    process_due()
    wait_until(lambda: gateway.received, what="the command reaches the gateway")
    answers = f"child/{child.uid}/command/{command.public_id}"
    other.say(f"{answers}/result", {"status": "failed"})
    for kind, status in (("ack", "received"), ("result", "succeeded")):
        for _ in range(2):
            gateway.say(f"{answers}/{kind}", {"status": status})
    wait_until(lambda: fresh(command).status == "succeeded", what="its result")
    wait_until(DeadLetter.objects.exists, what="the letter of the other gateway")
    gateway.close()
    other.close()

    assert gateway.received == [f"iot/v1/{row.uid}/child/{child.uid}/down/command"]
    said = CommandEvent.objects.filter(command_id=command.pk, actor="device")
    assert [event.status for event in said.order_by("pk")] == ["received", "succeeded"]
    assert [x.reason for x in DeadLetter.objects.all()] == ["gateway_mismatch"]


def test_the_bridge_works_with_amqtt() -> None:
    broker = BrokerProcess(is_stand_in=True)
    broker.start()
    bridge = BridgeProcess(broker.url).start()
    try:
        wait_for_listening(bridge)
        device = DeviceFactory.create()
        sender = Sender(broker, device)
        sender.raise_alarms(20, "first")
        wait_until(lambda: not sender.missing(), what="all alarms are stored")
        command = ask(Unit(device), "reboot")
        wait_until(
            lambda: Command.objects.get(pk=command.pk).status == "sent",
            what="the command is sent",
        )
        sender.close()
    finally:
        bridge.kill()
        broker.stop()


def test_messages_are_acknowledged_only_after_their_commit(
    start: Start, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE state_presence")
        sender.raise_alarms(50, "held")
        wait_until(waiting_for_locks, what="the bridge is about to commit")
        bridge.kill()

    start()

    wait_until(lambda: not sender.missing(), what="all came again")


def test_no_message_is_lost_when_the_bridge_is_killed_under_traffic(
    start: Start, sender: Sender
) -> None:
    for turn in range(3):
        bridge = start()
        wait_for_listening(bridge)
        sender.raise_alarms(400, f"turn{turn}")
        first = f"turn{turn}-0"
        wait_until(lambda f=first: f not in sender.missing(), what="some are stored")  # type: ignore[misc]
        bridge.kill()
    sender.raise_alarms(100, "nobody-listens")

    start()

    wait_until(lambda: not sender.missing(), what="every alarm is stored")


def test_messages_wait_for_the_bridge_even_after_the_broker_was_killed(
    start: Start, broker: BrokerProcess, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    sender.raise_alarms(5, "before")
    wait_until(lambda: not sender.missing(), what="the bridge is at work")
    saved = broker.folder / "data" / "mosquitto.db"
    wait_until(
        lambda: saved.exists() and b"iot/v1/+/event" in saved.read_bytes(),
        what="the broker has saved the bridge's subscriptions",
    )
    bridge.kill()
    broker.kill()
    broker.start()
    sender.wait_until_connected()
    sender.raise_alarms(50, "nobody-listens")

    start()

    wait_until(lambda: not sender.missing(), what="every alarm is stored")


def test_a_bridge_that_is_asked_to_stop_commits_received_messages_and_exits(
    start: Start, sender: Sender
) -> None:
    bridge = start()
    wait_for_listening(bridge)
    sender.raise_alarms(300, "last")

    assert bridge.stop() == 0

    again = start()
    wait_until(lambda: not sender.missing(), what="every alarm is stored")
    assert "Traceback" not in bridge.log() + again.log()
