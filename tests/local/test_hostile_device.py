"""A device with a good secret and bad intentions: its own topics, and nothing else."""

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
from tests.local.raw_mqtt import Closed, RawClient, is_let_in

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
def ear(mqtt: BrokerProcess) -> Iterator[RawClient]:
    """The platform, which hears everything."""
    client = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"ear"
    )
    client.subscribe(b"iot/v1/#")
    while client.is_alive() and any(message.retained for message in client.heard):
        client.heard.clear()
    yield client
    client.drop()


def patience(mqtt: BrokerProcess) -> float:
    """How long an answer is waited for; amqtt gives none to what it refuses."""
    return 0.5 if mqtt.broker.is_stand_in else 10.0


def device(
    mqtt: BrokerProcess, version: int, uid: str = "dev-1", **how: Any
) -> RawClient:
    client = RawClient(
        *(mqtt.port, uid.encode(), SECRETS[uid].encode()),
        version=version,
        patience=patience(mqtt),
        **how,
    )
    assert client.is_welcome
    return client


def mark(mqtt: BrokerProcess, number: int) -> bytes:
    """End a case with something that is allowed; whatever came before it came first."""
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


def test_nothing_foreign_is_published_retained_or_not(
    mqtt: BrokerProcess, ear: RawClient, kind: str, version: int
) -> None:
    topics = [*hostile.FOREIGN, *hostile.SYSTEM, *hostile.TRICKY, *hostile.LONG]
    topics += [*hostile.WILD, b""]
    client = device(mqtt, version)
    for topic, retain in itertools.product(topics, (False, True)):
        said = try_to_publish(client, topic, retain=retain)
        if said == "closed" or not client.is_alive():
            client.drop()
            client = device(mqtt, version)
        elif version == 5:
            assert said != "reason 0", topic
        CASES[kind] += 1
    client.drop()
    last = mark(mqtt, 1)

    assert ear.until(last) == [last]
    # Nor is anything kept for who comes later.
    late = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"late"
    )
    late.subscribe(b"#")
    assert late.is_alive()
    assert [m for m in late.heard if m.payload == b"hostile"] == []
    late.drop()


def test_no_filter_hears_what_is_anothers(
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
        heard_at_once = [message.topic for message in client.heard]
        client.subscribe(hostile.OWN + b"/down/#")
        for foreign in (b"/down/command", b"/child/x/down/command"):
            platform.publish(hostile.VICTIM + foreign, b"secret")
        victim.publish(hostile.VICTIM + b"/heartbeat", b"secret")
        last = hostile.OWN + b"/down/m%d" % number
        platform.publish(last, b"{}")

        assert heard_at_once == [], topic
        assert set(client.until(last)) == {last}, topic
        client.drop()
        CASES[kind] += 1
    platform.publish(hostile.VICTIM + b"/down/desired", b"", retain=True)
    victim.publish(hostile.VICTIM + b"/status", b"", retain=True)
    platform.drop()
    victim.drop()


@pytest.mark.parametrize("retain", [False, True])
def test_no_will_speaks_for_another(
    mqtt: BrokerProcess, ear: RawClient, kind: str, version: int, retain: bool
) -> None:
    topics = [*hostile.FOREIGN, *hostile.SYSTEM, *hostile.TRICKY, *hostile.WILD, b""]
    for topic in topics:
        try:
            client = RawClient(
                *(mqtt.port, b"dev-1", b"secret"),
                will=(topic, b"hostile"),
                will_retain=retain,
                version=version,
                patience=patience(mqtt),
            )
        except (Closed, OSError):
            pass
        else:
            client.drop()  # without a goodbye: now the broker would send it
        CASES[kind] += 1
    # The last of them, taken over and thrown off, has left before this one.
    device(mqtt, version).drop()
    last = mark(mqtt, 2 + retain)

    assert ear.until(last) == [last]


def test_its_own_topics_and_will_are_its_own(
    mqtt: BrokerProcess, ear: RawClient, version: int
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

    heard = ear.until(own[-1])
    assert heard == own
    assert ear.until(hostile.OWN + b"/status") == [hostile.OWN + b"/status"]


def test_nobody_is_let_in_by_another_name_or_secret(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    let_in = []
    for user, secret in hostile.STRANGERS:
        if is_let_in(mqtt.port, user, secret, version=version, patience=patience(mqtt)):
            let_in.append((user, secret))
        CASES[kind] += 1
    assert let_in == []
    assert is_let_in(mqtt.port, b"dev-1", b"secret", version=version)


def test_no_device_enters_where_the_platform_does(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    port = mqtt.broker.platform_port
    for user, secret in (*hostile.STRANGERS, (b"dev-1", b"secret")):
        if (user, secret) == (BRIDGE, BRIDGE_SECRET):
            continue
        assert not is_let_in(
            port, user, secret, version=version, patience=patience(mqtt)
        ), user
        CASES[kind] += 1


def test_anothers_client_id_is_no_way_into_anothers_session(
    mqtt: BrokerProcess, kind: str, version: int
) -> None:
    platform = RawClient(
        mqtt.broker.platform_port, BRIDGE, BRIDGE_SECRET, client_id=b"voice"
    )
    victim = device(mqtt, version, "dev-2")
    victim.subscribe(hostile.VICTIM + b"/down/#")
    for client_id in (b"dev-2", b"", b"voice", b"ear", b"@bridge-1", b"dev-2\x00"):
        for secret in (b"secret", b"guess"):
            is_let_in(
                *(mqtt.port, b"dev-1", secret),
                client_id=client_id,
                clean=bool(client_id) and secret == b"guess",
                version=version,
                patience=patience(mqtt),
            )
            CASES[kind] += 1

    platform.publish(hostile.VICTIM + b"/down/command", b"{}")  # it was not thrown off

    assert victim.until(hostile.VICTIM + b"/down/command")
    victim.drop()
    platform.drop()
