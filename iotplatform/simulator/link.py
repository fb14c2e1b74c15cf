"""One MQTT connection of a simulated device, driven by the event loop.

paho implements the protocol; asyncio tells when its socket is readable or writable, so
that thousands of connections need one thread. A link is used for one connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

logger = logging.getLogger(__name__)

CLOSED = "the broker closed the connection"
CONNECT_SECONDS = 15.0
# Longer than the longest heartbeat interval of a demo: heartbeats keep the connection
# alive.
KEEPALIVE_SECONDS = 90
# Only for the TCP handshake: paho offers it only as a blocking call.
CONNECTORS = ThreadPoolExecutor(max_workers=16, thread_name_prefix="connect")


class Unreachable(Exception):
    """The broker cannot be reached."""


class Refused(Exception):
    """The broker answered and refused this device."""


@dataclass(frozen=True)
class Will:
    """What the broker publishes when a device disconnects without a goodbye."""

    topic: str
    payload: bytes


@dataclass(frozen=True)
class Address:
    """Where the broker listens for devices."""

    host: str
    port: int


@dataclass
class DeviceLink:
    """A connection: open it, publish over it, wait for its end."""

    uid: str
    on_message: Callable[[str, bytes], None]
    on_delivered: Callable[[int], None] = lambda mid: None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _client: Client | None = None
    _answered: asyncio.Future[ReasonCode] | None = None
    _descriptor: int = -1
    _unconfirmed: set[int] = field(default_factory=set)
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(
        self, address: Address, *, secret: str, will: Will, filters: Sequence[str]
    ) -> None:
        """Connect and subscribe; raise ``Unreachable`` or ``Refused``."""
        loop = asyncio.get_running_loop()
        client = self._make_client(secret, will)
        self._answered = loop.create_future()
        try:
            await loop.run_in_executor(
                CONNECTORS,
                lambda: client.connect(address.host, address.port, KEEPALIVE_SECONDS),
            )
        except (OSError, ValueError) as error:
            raise Unreachable(str(error)) from error
        self._client = client
        self._watch(client)
        try:
            code = await asyncio.wait_for(self._answered, CONNECT_SECONDS)
        except TimeoutError:
            self.abort()
            raise Unreachable("the broker does not answer CONNECT") from None
        if code.is_failure:
            self.abort()
            raise Refused(str(code))
        client.subscribe([(topic, 1) for topic in filters])
        self._flush()

    @property
    def is_up(self) -> bool:
        return self._client is not None and not self.ended.is_set()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False
    ) -> int | None:
        """Publish with QoS 1; return the message id, or None without a connection."""
        if self._client is None or self.ended.is_set():
            return None
        info = self._client.publish(topic, payload, qos=1, retain=retain)
        self._unconfirmed.add(info.mid)
        self._quiet.clear()
        self._flush()
        return info.mid

    def tick(self) -> None:
        """Let paho send its keep-alive."""
        if self._client is not None and not self.ended.is_set():
            if self._client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                self._end()
            else:
                self._flush()

    async def close(self, *, seconds: float = 2.0) -> None:
        """Send DISCONNECT once the broker has confirmed all published messages.

        paho closes its socket with the DISCONNECT. If a confirmation is still unread
        then, the kernel resets the connection, and the broker loses what it has not
        read yet: a goodbye becomes a last will.
        """
        if self._client is None or self.ended.is_set():
            return
        if self._unconfirmed:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._quiet.wait(), seconds)
        if self.ended.is_set():
            return
        self._client.disconnect()
        self._flush()
        try:
            await asyncio.wait_for(self.ended.wait(), seconds)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Drop the connection without a goodbye: the broker publishes the will."""
        client = self._client
        if client is not None and (sock := client.socket()) is not None:
            self._unwatch()
            sock.close()
        self._end()

    def _make_client(self, secret: str, will: Will) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=self.uid, reconnect_on_failure=False
        )
        client.username_pw_set(self.uid, secret)
        client.will_set(will.topic, will.payload, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_disconnect = lambda *_: self._end()
        client.on_message = self._arrived
        client.on_publish = lambda _c, _u, mid, *_: self._confirmed(mid)
        return client

    def _watch(self, client: Client) -> None:
        sock = client.socket()
        if sock is None:
            raise Unreachable(CLOSED)
        self._descriptor = sock.fileno()
        asyncio.get_running_loop().add_reader(self._descriptor, self._readable)

    def _unwatch(self) -> None:
        if self._descriptor >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._descriptor)
            loop.remove_writer(self._descriptor)
            self._descriptor = -1

    def _readable(self) -> None:
        if self._client is None:
            return
        # If paho closed the descriptor, stop watching it before it is reused.
        if self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end()
        else:
            self._flush()

    def _flush(self) -> None:
        """Write waiting output; the event loop writes the rest when it can."""
        client = self._client
        if client is None or self._descriptor < 0:
            return
        if client.want_write() and client.loop_write():
            self._end()
            return
        loop = asyncio.get_running_loop()
        if client.want_write() and not self.ended.is_set():
            loop.add_writer(self._descriptor, self._flush)
        elif self._descriptor >= 0:
            loop.remove_writer(self._descriptor)

    def _connected(
        self,
        _client: Client,
        _userdata: Any,
        _flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(code)

    def _confirmed(self, mid: int) -> None:
        self._unconfirmed.discard(mid)
        if not self._unconfirmed:
            self._quiet.set()
        self.on_delivered(mid)

    def _arrived(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            self.on_message(message.topic, bytes(message.payload))
        except Exception:
            # Otherwise the exception would silently end this connection's loop.
            logger.exception("%s: cannot handle a message from the platform", self.uid)

    def _end(self) -> None:
        self._unwatch()
        self.ended.set()
        self._quiet.set()
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(Unreachable(CLOSED))
