"""Reading from the broker: each message once and in order, however it is cut."""

from __future__ import annotations

import socket
from itertools import chain, repeat
from typing import Any

import paho.mqtt.client as paho
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iotplatform.adapters.mqtt.address import BrokerAddress
from iotplatform.adapters.mqtt.client import BufferedClient, Message

Sent = tuple[str, bytes, int, bool]
AT_ONCE = 60_000  # bytes; more than a socket holds would wait for a reader for ever
ADDRESSES = {
    "5": BrokerAddress.parse("mqtt://host?version=5"),
    "3.1.1": BrokerAddress.parse("mqtt://host?version=3.1.1"),
}
topics = st.text(st.characters(codec="utf-8", exclude_characters="\0#+"), max_size=40)
messages = st.lists(
    st.tuples(
        topics.filter(bool),
        st.binary(max_size=300) | st.just(20_000 * b"x"),
        st.sampled_from([0, 1, 1]),
        st.booleans(),
    ),
    max_size=12,
)


def packet(sent: Sent, mid: int, *, version: str) -> bytes:
    """Encode a PUBLISH packet as a broker does."""
    topic, payload, qos, retained = sent
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name
    body += mid.to_bytes(2, "big") if qos else b""
    body += b"\x05\x02\0\0\0\x3c" if version == "5" else b""  # expires in a minute
    body += payload
    length, rest = b"", len(body)
    while True:
        rest, digit = divmod(rest, 128)
        length += bytes([digit | (0x80 if rest else 0)])
        if not rest:
            break
    return bytes([0x30 | qos << 1 | retained]) + length + body


def read_all(client: BufferedClient, limit: int) -> list[Message]:
    """Read until the socket is empty, as a link does."""
    found: list[Message] = []

    def on_message(_: Any, __: Any, m: paho.MQTTMessage) -> None:
        found.append(Message(m.mid, m.qos, m.retain, m._topic, bytes(m.payload)))

    client.on_message = on_message
    while True:
        client.loop_read()
        found += client.read_buffered(limit)
        if not client.has_buffered:
            return found


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@settings(deadline=None)
@given(sent=messages, cuts=st.lists(st.integers(1, 900)), limit=st.integers(1, 20))
def test_every_message_is_read_once_and_in_order_wherever_the_stream_is_cut(
    version: str, sent: list[Sent], cuts: list[int], limit: int
) -> None:
    ours, broker = socket.socketpair()
    ours.setblocking(False)
    client = BufferedClient("@test", ADDRESSES[version])
    client._sock = ours
    stream = b"".join(
        packet(one, mid, version=version) for mid, one in enumerate(sent, start=1)
    )

    found: list[Message] = []
    for size in chain(cuts, repeat(AT_ONCE)):
        part, stream = stream[:size], stream[size:]
        broker.sendall(part)
        found += read_all(client, limit)
        if not stream:
            break

    assert found == [
        Message(mid if qos else 0, qos, retained, topic.encode(), payload)
        for mid, (topic, payload, qos, retained) in enumerate(sent, start=1)
    ]
    ours.close()
    broker.close()


def test_acknowledgements_are_encoded_as_pubacks() -> None:
    client = BufferedClient("@test", ADDRESSES["5"])

    client.acknowledge([1, 300])

    assert bytes(client._outgoing) == b"\x40\x02\0\x01\x40\x02\x01\x2c"
