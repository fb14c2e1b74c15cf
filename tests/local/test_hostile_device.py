"""A hostile device with a valid secret may use its own topics and nothing else."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from iotplatform.local.broker import BRIDGE_USER
from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto
from tests.local import hostile
from tests.local.raw_mqtt import Closed, RawClient, can_connect

BRIDGE, BRIDGE_SECRET = BRIDGE_USER.encode(), b"bridge-secret"
SECRETS = {"dev-1": "secret", "dev-2": "of-dev-2"}
CASES: dict[str, int] = {}


@pytest.fixture(scope="module", params=["mosquitto", "mosquitto 5", "amqtt"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def version(kind: str) -> int:
    return 5 if kind.endswith("5") else 4


@pytest.fixture(scope="module")
def mqtt(kind: str, counted: Counter[str]) -> Iterator[BrokerProcess]:
    need_mosquitto()
    process = BrokerProcess(is_stand_in=kind == "amqtt")
    process.add_devices(SECRETS)
    process.start()
    CASES[kind] = 0
    yield process
    process.stop()
    counted[f"tries of a hostile device on {kind}"] += CASES[kind]


@pytest.fixture
def receiver(mqtt: BrokerProcess) -> Iterator[RawClient]:
    """A client of the platform that receives everything."""
    client = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"receiver"
    )
    client.subscribe(b"iot/v1/#")
    while client.is_alive() and any(message.retained for message in client.received):
        client.received.clear()
    yield client
    client.drop()


def timeout(mqtt: BrokerProcess) -> float:
    """How long to wait for an answer; amqtt does not answer what it refuses."""
    return 0.5 if mqtt.broker.is_stand_in else 10.0


def device(
    mqtt: BrokerProcess, version: int, uid: str = "dev-1", **how: Any
) -> RawClient:
    client = RawClient(
        *(mqtt.port, uid.encode(), SECRETS[uid].encode()),
        version=version,
        timeout=timeout(mqtt),
        **how,
    )
    assert client.is_accepted
    return client


def mark(mqtt: BrokerProcess, number: int) -> bytes:
    """End a case with an allowed message: all earlier messages arrive before it."""
    topic = b"iot/v1/dev-2/command/m%d/ack" % number
    client = device(mqtt, 4, "dev-2")
    client.publish(topic, b"{}")
    client.drop()
    return topic


def try_to_publish(client: RawClient, topic: bytes, *, retain: bool) -> str:
    try:
        return f"reason {client.publish(topic, b'hostile', retain=retain)}"
    except (Closed, TimeoutError):
        return "closed"


def test_no_message_on_a_foreign_topic_is_delivered_or_retained(
    mqtt: BrokerProcess, receiver: RawClient, kind: str, version: int
) -> None:
    topics = [*hostile.FOREIGN, *hostile.SYSTEM, *hostile.TRICKY, *hostile.LONG]
    topics += [*hostile.WILD, b""]
    client = device(mqtt, version)
    for topic, retain in itertools.product(topics, (False, True)):
        outcome = try_to_publish(client, topic, retain=retain)
        if outcome == "closed" or not client.is_alive():
            client.drop()
            client = device(mqtt, version)
        elif version == 5:
            assert outcome != "reason 0", topic
        CASES[kind] += 1
    client.drop()
    last = mark(mqtt, 1)

    assert receiver.until(last) == [last]
    # Nothing is retained for later subscribers either.
    late = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"late"
    )
    late.subscribe(b"#")
    assert late.is_alive()
    assert [m for m in late.received if m.payload == b"hostile"] == []
    late.drop()


def test_no_filter_receives_another_devices_messages(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    platform = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"voice"
    )
    platform.publish(hostile.VICTIM + b"/down/desired", b"secret", retain=True)
    victim = device(mqtt, 4, "dev-2")
    victim.publish(hostile.VICTIM + b"/status", b"secret", retain=True)
    for number, topic in enumerate(hostile.FILTERS):
        client = device(mqtt, version)
        try:
            client.subscribe(topic)
        except (Closed, TimeoutError):
            client.drop()
            client = device(mqtt, version)
        if not client.is_alive():
            client = device(mqtt, version)
        received_at_once = [message.topic for message in client.received]
        client.subscribe(hostile.OWN + b"/down/#")
        for foreign in (b"/down/command", b"/child/x/down/command"):
            platform.publish(hostile.VICTIM + foreign, b"secret")
        victim.publish(hostile.VICTIM + b"/heartbeat", b"secret")
        last = hostile.OWN + b"/down/m%d" % number
        platform.publish(last, b"{}")

        assert received_at_once == [], topic
        assert set(client.until(last)) == {last}, topic
        client.drop()
        CASES[kind] += 1
    platform.publish(hostile.VICTIM + b"/down/desired", b"", retain=True)
    victim.publish(hostile.VICTIM + b"/status", b"", retain=True)
    platform.drop()
    victim.drop()


@pytest.mark.parametrize("retain", [False, True])
def test_no_will_is_published_for_another_device(
    mqtt: BrokerProcess, receiver: RawClient, kind: str, version: int, retain: bool
) -> None:
    topics = [*hostile.FOREIGN, *hostile.SYSTEM, *hostile.TRICKY, *hostile.WILD, b""]
    for topic in topics:
        try:
            client = RawClient(
                *(mqtt.port, b"dev-1", b"secret"),
                will=(topic, b"hostile"),
                will_retain=retain,
                version=version,
                timeout=timeout(mqtt),
            )
        except (Closed, OSError):
            pass
        else:
            client.drop()  # without DISCONNECT: now the broker would send the will
        CASES[kind] += 1
    # This connection takes over the last session, so that its will is sent before.
    device(mqtt, version).drop()
    last = mark(mqtt, 2 + retain)

    assert receiver.until(last) == [last]


def test_a_device_may_use_its_own_topics_and_will(
    mqtt: BrokerProcess, receiver: RawClient, version: int
) -> None:
    own = [
        f"{tree}/{kind.decode()}".encode()
        for tree in ("iot/v1/dev-1", "iot/v1/dev-1/child/kid-1")
        for kind in hostile.UPLINK
    ]
    client = device(mqtt, version, will=(hostile.OWN + b"/status", b"gone"))
    for topic in own:
        assert client.publish(topic, b"{}") in (0, 0x10)
    client.drop()

    received = receiver.until(own[-1])
    assert received == own
    assert receiver.until(hostile.OWN + b"/status") == [hostile.OWN + b"/status"]


def test_no_wrong_name_or_secret_can_connect(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    let_in = []
    for user, secret in hostile.STRANGERS:
        if can_connect(mqtt.port, user, secret, version=version, timeout=timeout(mqtt)):
            let_in.append((user, secret))
        CASES[kind] += 1
    assert let_in == []
    assert can_connect(mqtt.port, b"dev-1", b"secret", version=version)


def test_no_device_can_connect_to_the_platforms_listener(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    port = mqtt.broker.platform_port
    for user, secret in (*hostile.STRANGERS, (b"dev-1", b"secret")):
        if (user, secret) == (BRIDGE, BRIDGE_SECRET):
            continue
        assert not can_connect(
            port, user, secret, version=version, timeout=timeout(mqtt)
        ), user
        CASES[kind] += 1


def test_another_devices_client_id_does_not_take_over_its_session(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    platform = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"voice"
    )
    victim = device(mqtt, version, "dev-2")
    victim.subscribe(hostile.VICTIM + b"/down/#")
    for client_id in (b"dev-2", b"", b"voice", b"receiver", b"@bridge-1", b"dev-2\x00"):
        for secret in (b"secret", b"guess"):
            can_connect(
                *(mqtt.port, b"dev-1", secret),
                client_id=client_id,
                clean=bool(client_id) and secret == b"guess",
                version=version,
                timeout=timeout(mqtt),
            )
            CASES[kind] += 1

    platform.publish(hostile.VICTIM + b"/down/command", b"{}")  # it is still connected

    assert victim.until(hostile.VICTIM + b"/down/command")
    victim.drop()
    platform.drop()
