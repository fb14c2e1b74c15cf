"""A device's messages over MQTT never reach another tenant.

The test uses a real Mosquitto and a real bridge. A device of the other tenant tries to
subscribe to everything, and the other tenant's users open every list.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from secrets import token_hex

import pytest

from commands.models import Command
from registry.choices import Role
from registry.models import Device
from state.models import Alarm, DeadLetter, TelemetrySummary, Twin
from tests.adapters.bridge_process import BridgeProcess, wait_for_listening
from tests.broker_process import BrokerProcess
from tests.commands.units import Unit, ask
from tests.factories import DeviceFactory
from tests.isolation.people import Caller, member_of
from tests.isolation.routes import KIND_OF, Kind
from tests.isolation.rows import Rows
from tests.isolation.walk import everything_of
from tests.local.hostile import FILTERS
from tests.local.raw_mqtt import Closed, RawClient
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bridge(broker: BrokerProcess) -> Iterator[BridgeProcess]:
    process = BridgeProcess(broker.url).start()
    wait_for_listening(process)
    yield process
    process.kill()


def connected(broker: BrokerProcess, device: Device) -> RawClient:
    secret = broker.add_device(device.uid).encode()
    uid = device.uid.encode()

    def client() -> RawClient | None:
        found = RawClient(broker.port, uid, secret)
        return found if found.is_accepted else None

    found = wait_until(client, what="the broker knows the device")
    assert found is not None
    return found


def publish_everything(client: RawClient, uid: str, word: str) -> None:
    """Send the word in each kind of message, and in an invalid one."""
    bodies = {
        "status": {"status": "online", "session": word},
        "telemetry": {"metrics": {word: 21.5}},
        "reported": {"version": 1, "reported": {word: word}},
        "event": {"code": word, "severity": "critical", "state": "raised"},
        "heartbeat": {"boot": word},
    }
    for kind, body in bodies.items():
        topic = f"iot/v1/{uid}/{kind}".encode()
        client.publish(topic, json.dumps(body).encode(), retain=kind == "status")


def is_stored(device: Device) -> bool:
    """Whether all messages of the device are stored."""
    return (
        Alarm.objects.filter(device=device).exists()
        and DeadLetter.objects.filter(tenant=device.tenant).exists()
        and TelemetrySummary.objects.filter(device=device).exists()
        and Twin.objects.filter(device=device, reported_version=1).exists()
    )


def filters_about(victim: Device, own: Device) -> list[bytes]:
    """Return all filters that a hostile device tries, with the uids of these two."""
    names = (b"dev-2", victim.uid.encode()), (b"dev-1", own.uid.encode())
    found = []
    for topic in FILTERS:
        for name, uid in names:
            topic = topic.replace(name, uid)
        found.append(topic)
    return found


def lists_that_show(caller: Caller, word: str) -> list[str]:
    """Return the lists of REST API and console that show the word to this caller."""
    routes = [route for route, kind in KIND_OF.items() if kind is Kind.MANY]
    return [
        route
        for route in routes
        if word in caller.ask("get", f"/{route.lstrip('/')}?q=*").getvalue().decode()
    ]


def test_no_one_in_another_tenant_receives_a_devices_messages(
    broker: BrokerProcess, bridge: BridgeProcess, counted: Counter[str]
) -> None:
    word = f"qj{token_hex(3)}"
    ours = DeviceFactory.create(kind="gateway")
    theirs = DeviceFactory.create()
    assert ours.tenant != theirs.tenant
    listener, speaker = connected(broker, ours), connected(broker, theirs)
    platform = RawClient(
        broker.broker.platform_port, b"@bridge", b"bridge-secret", client_id=b"ear"
    )
    platform.subscribe(b"iot/v1/#")
    filters = [*filters_about(theirs, ours), f"iot/v1/{ours.uid}/down/#".encode()]
    for topic in filters:
        try:
            listener.subscribe(topic)
        except Closed:  # for an invalid filter
            listener = connected(broker, ours)
    listener.subscribe(filters[-1])
    speaker.subscribe(f"iot/v1/{theirs.uid}/down/#".encode())

    listener.publish(f"iot/v1/{ours.uid}/status".encode(), b'{"status": "online"}')
    publish_everything(speaker, theirs.uid, word)
    for name, params in (("set_config", {word: word}), ("reboot", {})):
        ask(Unit(theirs), name, params)
    wait_until(lambda: is_stored(theirs), what="all of it is stored")
    last = ask(Unit(ours), "reboot")

    speaker.until(f"iot/v1/{theirs.uid}/down/desired".encode())
    wait_until(
        lambda: Command.objects.get(pk=last.pk).status == "sent",
        what="the last command is sent",
    )
    received = listener.until(f"iot/v1/{ours.uid}/down/command".encode())
    platform.is_alive()

    assert sum(word.encode() in m.topic + m.payload for m in platform.received) >= 5
    assert {topic.split(b"/")[2] for topic in received} == {ours.uid.encode()}
    assert not any(word.encode() in m.topic + m.payload for m in listener.received)
    own, other = everything_of(Rows(ours.tenant)), everything_of(Rows(theirs.tenant))
    assert word in str(other)
    assert word not in str(own)
    assert "alarms/" in lists_that_show(member_of(theirs.tenant, Role.ADMIN), word)
    assert lists_that_show(member_of(ours.tenant, Role.ADMIN), word) == []
    counted["filters of another tenant's device that received nothing"] += len(filters)
    for client in (listener, speaker, platform):
        client.drop()
