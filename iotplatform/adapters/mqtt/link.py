"""One slot's connection to the broker: receive, acknowledge, publish.

A link outlives its connections. Each connection has its own client object and its own
generation number: message ids start again with each connection, so acknowledging an id
of an earlier one would acknowledge the wrong message.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from iotplatform.adapters.mqtt.address import BrokerAddress
from iotplatform.adapters.mqtt.client import (
    CONNECT_SECONDS,
    RECEIVE_MAXIMUM,
    BufferedClient,
)
from iotplatform.adapters.mqtt.topics import subscriptions

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.2
LAST_RETRY_SECONDS = 5.0
# A session that nobody publishes to, and that was quiet for this long, is empty: the
# broker delivers what it keeps as fast as we acknowledge it.
DRAINED_AFTER_SECONDS = 5.0
# Retained messages are old, and there is one for every device.
DO_NOT_SEND_RETAINED = 2


class Received(NamedTuple):
    """A message as it arrived, with what is needed to acknowledge it."""

    slot: int
    generation: int
    mid: int
    qos: int
    topic: bytes
    payload: bytes
    retained: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """The outcome of a message that we published; no error: the broker accepted it."""

    tag: Any
    error: str


class BridgeLink:
    """The connection of one slot to the broker.

    ``share`` is the shared subscription by which several slots divide the uplink; empty
    for a slot that reads all of it. A draining link subscribes to nothing, reads what
    its session still holds, and publishes nothing.
    """

    def __init__(
        self,
        slot: int,
        address: BrokerAddress,
        *,
        share: str = "",
        is_draining: bool = False,
    ) -> None:
        self.slot = slot
        self.is_draining = is_draining
        self.generation = 0
        self.is_up = False
        self.outstanding = 0  # received and not acknowledged
        self.drained_at: datetime | None = None
        self.outcomes: list[Published] = []
        self._address = address
        self._share = share
        self._client: BufferedClient | None = None
        self._inbox: deque[Received] = deque()
        self._in_flight: dict[int, Any] = {}
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._retry_at = 0.0
        self._give_up_at = 0.0
        self._quiet_from = 0.0

    @property
    def socket(self) -> socket.socket | None:
        """The socket to wait on; None while there is no connection."""
        return self._client.socket() if self._client else None  # type: ignore[return-value]

    @property
    def wants_write(self) -> bool:
        return self._client is not None and self._client.has_outgoing

    @property
    def has_unread(self) -> bool:
        """Whether received input waits for room in the window."""
        return self._client is not None and self._client.has_buffered and self.may_read

    @property
    def may_read(self) -> bool:
        """Whether the window has room: MQTT 3.1.1 has no receive window of its own."""
        return self._room > 0

    @property
    def _room(self) -> int:
        return RECEIVE_MAXIMUM - self.outstanding

    @property
    def free_to_publish(self) -> int:
        """How many more messages we may publish before a PUBACK must arrive."""
        if not self.is_up or self.is_draining:
            return 0
        return max(0, RECEIVE_MAXIMUM - len(self._in_flight))

    @property
    def is_drained(self) -> bool:
        """Whether a draining link has read everything that its session held."""
        if not (self.is_draining and self.is_up) or self.outstanding:
            return False
        return monotonic() - self._quiet_from >= DRAINED_AFTER_SECONDS

    def maintain(self, *, may_connect: bool = True) -> None:
        """Connect when it is time, send keep-alives, write waiting output."""
        now = monotonic()
        if self._client is None:
            if may_connect and now >= self._retry_at:
                self._connect()
            return
        if not self.is_up and now > self._give_up_at:
            self._lose("no answer to CONNECT or SUBSCRIBE")
            return
        self._client.loop_misc()
        if self._client is not None:
            self._client.loop_write()
            self._client.flush()

    def read(self) -> list[Received]:
        """Return the messages that have arrived, in their order."""
        client = self._client
        while client is not None and client is self._client and self.may_read:
            client.loop_read()
            if client is self._client:
                for message in client.read_buffered(self._room):
                    self._append(*message)
            if not client.has_buffered:
                if self.is_up and self._client is client:
                    self.drained_at = datetime.now(UTC)
                break
        received = list(self._inbox)
        self._inbox.clear()
        return received

    def acknowledge(self, messages: Sequence[Received]) -> None:
        """Acknowledge committed messages, in the order of their arrival."""
        if self._client is None:
            return
        # The broker sends messages of an earlier connection again.
        mine = [m for m in messages if m.qos and m.generation == self.generation]
        if mine:
            self.outstanding -= len(mine)
            self._quiet_from = monotonic()
            self._client.acknowledge([message.mid for message in mine])
            self._client.flush()

    def publish(
        self, topic: str, payload: bytes, *, tag: Any, retain: bool, expiry: int | None
    ) -> None:
        """Publish with QoS 1; the outcome is added to ``outcomes`` with the tag."""
        if self._client is None or not self.is_up:
            self.outcomes.append(Published(tag, "the broker is not connected"))
            return
        properties = None
        if self._address.is_version_5 and expiry is not None:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.MessageExpiryInterval = expiry
        try:
            info = self._client.publish(topic, payload, 1, retain, properties)
        except ValueError as error:  # MQTT cannot carry this topic or payload
            self.outcomes.append(Published(tag, str(error)))
            return
        self._in_flight[info.mid] = tag

    def close(self) -> None:
        """Disconnect; the broker keeps the session, unless it is drained."""
        is_over = self.is_drained
        client, self._client = self._client, None
        if client is not None:
            client.on_disconnect = None
            client.leave(ends_session=is_over)
        self._forget("the bridge stops")

    def drop(self, why: str) -> None:
        """Close without a DISCONNECT: another bridge may own the session by now."""
        self._lose(why)

    def _connect(self) -> None:
        self.generation += 1
        client = BufferedClient(f"@bridge-{self.slot}", self._address)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        self._client = client
        self._give_up_at = monotonic() + 2 * CONNECT_SECONDS
        try:
            client.open(self._address)
        except OSError as error:
            self._lose(f"cannot connect: {error}")

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._lose(f"the broker refused the connection: {reason}")
            return
        topics = subscriptions(self._share)
        # When the session began, there may have been more or fewer slots.
        former = [
            topic
            for share in dict.fromkeys(["", self._address.share])
            for topic in subscriptions(share)
            if self.is_draining or share != self._share
        ]
        if self.is_draining:
            client.unsubscribe(former)
            return
        if self._address.is_version_5:
            options = SubscribeOptions(qos=1, retainHandling=DO_NOT_SEND_RETAINED)
            client.subscribe([(topic, options) for topic in topics])
        else:
            client.subscribe([(topic, 1) for topic in topics])
        if former:  # afterwards: a message may arrive twice, but it must not get lost
            client.unsubscribe(former)

    def _on_subscribe(
        self,
        client: paho.Client,
        userdata: Any,
        mid: int,
        reasons: list[ReasonCode],
        properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._lose(f"the broker refused a subscription: {refused[0]}")
            return
        logger.info("slot %d: listening", self.slot)
        self.is_up = True
        self._retry_seconds = FIRST_RETRY_SECONDS

    def _on_unsubscribe(self, *_: Any) -> None:
        if not self.is_draining:
            return
        logger.info("slot %d: draining", self.slot)
        self.is_up = True
        self._quiet_from = monotonic()
        self._retry_seconds = FIRST_RETRY_SECONDS

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if client is self._client:
            self._lose(str(reason))

    def _on_message(
        self, client: paho.Client, userdata: Any, message: paho.MQTTMessage
    ) -> None:
        self._append(
            message.mid,
            message.qos,
            message.retain,
            message._topic,  # bytes: the topic may be invalid UTF-8
            bytes(message.payload),
        )

    def _append(
        self, mid: int, qos: int, retained: bool, topic: bytes, payload: bytes
    ) -> None:
        if qos:
            self.outstanding += 1
        self._inbox.append(
            Received(
                *(self.slot, self.generation, mid, qos, topic, payload, retained),
                datetime.now(UTC),
            )
        )

    def _on_publish(
        self,
        client: paho.Client,
        userdata: Any,
        mid: int,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        tag = self._in_flight.pop(mid, None)
        if tag is not None:
            error = str(reason) if reason.is_failure else ""
            self.outcomes.append(Published(tag, error))

    def _lose(self, why: str) -> None:
        """Drop the connection; the pause before the next try doubles each time."""
        client, self._client = self._client, None
        if client is not None:
            logger.warning("slot %d: %s", self.slot, why)
            client.on_disconnect = None
            client._sock_close()
        self._forget(f"connection lost: {why}")
        self._retry_at = monotonic() + self._retry_seconds
        self._retry_seconds = min(2 * self._retry_seconds, LAST_RETRY_SECONDS)

    def _forget(self, why: str) -> None:
        self.is_up = False
        self.outstanding = 0
        self._inbox.clear()  # not acknowledged, so the broker sends it again
        self.outcomes += [Published(tag, why) for tag in self._in_flight.values()]
        self._in_flight.clear()
