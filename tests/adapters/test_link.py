"""One slot's connection on a real broker: which acknowledgement counts, what waits."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from iotplatform.adapters.mqtt.address import BrokerAddress
from iotplatform.adapters.mqtt.client import RECEIVE_MAXIMUM
from iotplatform.adapters.mqtt.link import Link, Received
from tests.broker_process import BrokerProcess
from tests.waiting import wait_until

DEVICE = "a-device"
VERSIONS = ("5", "3.1.1")


@pytest.fixture(params=VERSIONS)
def link(broker: BrokerProcess, request: pytest.FixtureRequest) -> Iterator[Link]:
    """A slot that listens."""
    address = BrokerAddress.parse(f"{broker.url}?version={request.param}")
    link = Link(1, address)
    come_up(link)
    yield link
    link.drop("the test is over")


def turn(link: Link) -> list[Received]:
    """What the bridge's loop does with a link, once."""
    link.tend()
    if link.socket is not None and not link.has_unread:
        select.select([link.socket], [], [], 0.05)
    return link.read()


def come_up(link: Link) -> list[Received]:
    """Connect, again if need be; return what came meanwhile."""
    came: list[Received] = []

    def is_up() -> bool:
        came.extend(turn(link))
        return link.is_up

    wait_until(is_up, what="the slot listens")
    return came


def read(link: Link, holds: Callable[[list[Received]], bool]) -> list[Received]:
    """Read until enough has come."""
    came: list[Received] = []

    def enough() -> bool:
        came.extend(turn(link))
        return holds(came)

    wait_until(enough, seconds=20, every=0, what="the messages come")
    return came


def reconnected(link: Link, count: int) -> list[Received]:
    """Lose the connection, and return what the broker sends on the next."""
    link.drop("a bad line")
    came = come_up(link)
    return came + read(link, lambda more: len(came) + len(more) >= count)


def say(broker: BrokerProcess, count: int, kind: str = "heartbeat") -> None:
    """Publish as a device; the broker has taken all of it."""
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


def test_an_acknowledgement_of_an_earlier_connection_acknowledges_nothing(
    broker: BrokerProcess, link: Link
) -> None:
    say(broker, 3)
    before = read(link, lambda came: len(came) == 3)

    again = reconnected(link, 3)
    link.acknowledge(before)
    assert link.outstanding == 3
    assert payloads(reconnected(link, 3)) == payloads(again) == [0, 1, 2]


def test_what_was_acknowledged_does_not_come_again(
    broker: BrokerProcess, link: Link
) -> None:
    say(broker, 3)
    link.acknowledge(read(link, lambda came: len(came) == 3))
    assert link.outstanding == 0
    say(broker, 1, "event")

    came = reconnected(link, 1)
    assert [(one.topic, one.payload) for one in came] == [
        (f"iot/v1/{DEVICE}/event".encode(), b"0")
    ]


def test_what_is_not_committed_bounds_what_is_read(
    broker: BrokerProcess, link: Link
) -> None:
    """While the database is away nothing is acknowledged, and memory stays as it is."""
    count = RECEIVE_MAXIMUM + 500
    say(broker, count)
    held = read(link, lambda came: len(came) >= RECEIVE_MAXIMUM)
    for _ in range(20):
        held += turn(link)
    assert link.outstanding == len(held) == RECEIVE_MAXIMUM
    assert not link.may_read

    link.acknowledge(held)
    rest = read(link, lambda came: len(came) >= count - RECEIVE_MAXIMUM)
    assert payloads(held + rest) == list(range(count))


@pytest.mark.parametrize("shares", [("", "bridge"), ("bridge", "")])
def test_another_number_of_slots_brings_nothing_twice(
    broker: BrokerProcess, shares: tuple[str, str]
) -> None:
    address = BrokerAddress.parse(broker.url)
    before, after = (Link(1, address, share=share) for share in shares)
    come_up(before)
    before.close()

    come_up(after)
    say(broker, 20)

    came = read(after, lambda came: len(came) >= 20)
    for _ in range(20):
        came += turn(after)
    after.drop("the test is over")
    assert payloads(came) == list(range(20))
