"""One slot's connection on a real broker: acknowledgements and the receive window."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from iotplatform.adapters.mqtt.address import BrokerAddress
from iotplatform.adapters.mqtt.client import RECEIVE_MAXIMUM
from iotplatform.adapters.mqtt.link import BridgeLink, Received
from tests.broker_process import BrokerProcess
from tests.waiting import wait_until

DEVICE = "a-device"
VERSIONS = ("5", "3.1.1")


@pytest.fixture(params=VERSIONS)
def link(broker: BrokerProcess, request: pytest.FixtureRequest) -> Iterator[BridgeLink]:
    """A slot that has subscribed."""
    address = BrokerAddress.parse(f"{broker.url}?version={request.param}")
    link = BridgeLink(1, address)
    connect(link)
    yield link
    link.drop("the test is over")


def turn(link: BridgeLink) -> list[Received]:
    """Do once what the bridge's loop does with a link."""
    link.maintain()
    if link.socket is not None and not link.has_unread:
        select.select([link.socket], [], [], 0.05)
    return link.read()


def connect(link: BridgeLink) -> list[Received]:
    """Connect, with retries; return the messages that arrived meanwhile."""
    came: list[Received] = []

    def is_up() -> bool:
        came.extend(turn(link))
        return link.is_up

    wait_until(is_up, what="the slot listens")
    return came


def read(link: BridgeLink, holds: Callable[[list[Received]], bool]) -> list[Received]:
    """Read until ``holds`` accepts the messages; return them."""
    came: list[Received] = []

    def enough() -> bool:
        came.extend(turn(link))
        return holds(came)

    wait_until(enough, every=0, what="the messages come")
    return came


def reconnected(link: BridgeLink, count: int) -> list[Received]:
    """Lose the connection; return what the broker sends on the next one."""
    link.drop("a bad line")
    came = connect(link)
    return came + read(link, lambda more: len(came) + len(more) >= count)


def publish(broker: BrokerProcess, count: int, kind: str = "heartbeat") -> None:
    """Publish as a device, and wait until the broker has acknowledged everything."""
    secret = broker.add_device(DEVICE)
    client = mqtt.Client(CallbackAPIVersion.VERSION2, DEVICE)
    client.max_inflight_messages_set(1_000)
    client.username_pw_set(DEVICE, secret)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    wait_until(client.is_connected, what="the device is connected")
    topic = f"iot/v1/{DEVICE}/{kind}"
    for info in [client.publish(topic, str(n), qos=1) for n in range(count)]:
        info.wait_for_publish(20)
    client.disconnect()
    client.loop_stop()


def payloads(came: list[Received]) -> list[int]:
    return [int(message.payload) for message in came]


def test_acknowledging_a_message_of_an_earlier_connection_has_no_effect(
    broker: BrokerProcess, link: BridgeLink
) -> None:
    publish(broker, 3)
    before = read(link, lambda came: len(came) == 3)

    again = reconnected(link, 3)
    link.acknowledge(before)
    assert link.outstanding == 3
    assert payloads(reconnected(link, 3)) == payloads(again) == [0, 1, 2]


def test_an_acknowledged_message_is_not_sent_again(
    broker: BrokerProcess, link: BridgeLink
) -> None:
    publish(broker, 3)
    link.acknowledge(read(link, lambda came: len(came) == 3))
    assert link.outstanding == 0
    publish(broker, 1, "event")

    came = reconnected(link, 1)
    assert [(one.topic, one.payload) for one in came] == [
        (f"iot/v1/{DEVICE}/event".encode(), b"0")
    ]


def test_reading_stops_while_too_many_messages_are_unacknowledged(
    broker: BrokerProcess, link: BridgeLink
) -> None:
    """While the database is away, nothing is acknowledged and memory does not grow."""
    count = RECEIVE_MAXIMUM + 500
    publish(broker, count)
    held = read(link, lambda came: len(came) >= RECEIVE_MAXIMUM)
    for _ in range(20):
        held += turn(link)
    assert link.outstanding == len(held) == RECEIVE_MAXIMUM
    assert not link.may_read

    link.acknowledge(held)
    rest = read(link, lambda came: len(came) >= count - RECEIVE_MAXIMUM)
    assert payloads(held + rest) == list(range(count))


@pytest.mark.parametrize("shares", [("", "bridge"), ("bridge", "")])
def test_changing_the_number_of_slots_delivers_no_message_twice(
    broker: BrokerProcess, shares: tuple[str, str]
) -> None:
    address = BrokerAddress.parse(broker.url)
    before, after = (BridgeLink(1, address, share=share) for share in shares)
    connect(before)
    before.close()

    connect(after)
    publish(broker, 20)

    came = read(after, lambda came: len(came) >= 20)
    for _ in range(20):
        came += turn(after)
    after.drop("the test is over")
    assert payloads(came) == list(range(20))
