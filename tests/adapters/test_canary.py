"""A word that a tenant's device says over MQTT reaches nobody of another tenant.

On a real Mosquitto, with a real bridge. The other tenant's device listens to whatever
it may, and more; its people look at every list.
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
from tests.commands.field import Unit, ask
from tests.factories import DeviceFactory
from tests.local.hostile import FILTERS
from tests.local.raw_mqtt import Closed, RawClient
from tests.waiting import wait_until
from tests.wall.people import Caller, member_of
from tests.wall.routes import KIND_OF, Kind
from tests.wall.rows import Rows
from tests.wall.walk import everything_of

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
        return found if found.is_welcome else None

    found = wait_until(client, what="the broker knows the device")
    assert found is not None
    return found


def say_everything(client: RawClient, uid: str, word: str) -> None:
    """Say the word in each kind of message, and in one that cannot be read."""
    said = {
        "status": {"status": "online", "session": word},
        "telemetry": {"metrics": {word: 21.5}},
        "reported": {"version": 1, "reported": {word: word}},
        "event": {"code": word, "severity": "critical", "state": "raised"},
        "heartbeat": {"boot": word},
    }
    for kind, body in said.items():
        topic = f"iot/v1/{uid}/{kind}".encode()
        client.publish(topic, json.dumps(body).encode(), retain=kind == "status")


def is_stored(device: Device) -> bool:
    """Whether all that was said has got where it belongs."""
    return (
        Alarm.objects.filter(device=device).exists()
        and DeadLetter.objects.filter(tenant=device.tenant).exists()
        and TelemetrySummary.objects.filter(device=device).exists()
        and Twin.objects.filter(device=device, reported_version=1).exists()
    )


def filters_about(victim: Device, own: Device) -> list[bytes]:
    """Return everything that a hostile device subscribes to, with these two names."""
    names = (b"dev-2", victim.uid.encode()), (b"dev-1", own.uid.encode())
    found = []
    for topic in FILTERS:
        for name, uid in names:
            topic = topic.replace(name, uid)
        found.append(topic)
    return found


def told_to(caller: Caller, word: str) -> list[str]:
    """Return the lists of REST and console that tell somebody the word."""
    routes = [route for route, kind in KIND_OF.items() if kind is Kind.MANY]
    return [
        route
        for route in routes
        if word in caller.ask("get", f"/{route.lstrip('/')}?q=*").getvalue().decode()
    ]


def test_what_a_device_says_is_heard_by_nobody_of_another_tenant(
    broker: BrokerProcess, bridge: BridgeProcess, counted: Counter[str]
) -> None:
    word = f"qj{token_hex(3)}"
    ours = DeviceFactory.create(kind="gateway")
    theirs = DeviceFactory.create()
    assert ours.tenant != theirs.tenant
    listener, speaker = connected(broker, ours), connected(broker, theirs)
    ear = RawClient(
        broker.broker.platform_port, b"@bridge", b"bridge-secret", client_id=b"ear"
    )
    ear.subscribe(b"iot/v1/#")
    filters = [*filters_about(theirs, ours), f"iot/v1/{ours.uid}/down/#".encode()]
    for topic in filters:
        try:
            listener.subscribe(topic)
        except Closed:  # for a topic that is none
            listener = connected(broker, ours)
    listener.subscribe(filters[-1])
    speaker.subscribe(f"iot/v1/{theirs.uid}/down/#".encode())

    listener.publish(f"iot/v1/{ours.uid}/status".encode(), b'{"status": "online"}')
    say_everything(speaker, theirs.uid, word)
    for name, params in (("set_config", {word: word}), ("reboot", {})):
        ask(Unit(theirs), name, params)
    wait_until(lambda: is_stored(theirs), seconds=30, what="all of it is stored")
    last = ask(Unit(ours), "reboot")

    speaker.until(f"iot/v1/{theirs.uid}/down/desired".encode(), seconds=30)
    wait_until(
        lambda: Command.objects.get(pk=last.pk).status == "sent",
        seconds=30,
        what="the broker took the last command",
    )
    heard = listener.until(f"iot/v1/{ours.uid}/down/command".encode(), seconds=30)
    ear.is_alive()

    assert sum(word.encode() in m.topic + m.payload for m in ear.heard) >= 5
    assert {topic.split(b"/")[2] for topic in heard} == {ours.uid.encode()}
    assert not any(word.encode() in m.topic + m.payload for m in listener.heard)
    own, other = everything_of(Rows(ours.tenant)), everything_of(Rows(theirs.tenant))
    assert word in str(other)
    assert word not in str(own)
    assert "alarms/" in told_to(member_of(theirs.tenant, Role.ADMIN), word)
    assert told_to(member_of(ours.tenant, Role.ADMIN), word) == []
    counted["filters of another tenant's device that heard no word"] += len(filters)
    for client in (listener, speaker, ear):
        client.drop()
