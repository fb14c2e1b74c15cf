"""A raw MQTT client, for packets that no normal client sends; versions 3.1.1 and 5."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from dataclasses import dataclass

from tests.waiting import PATIENCE

CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9
SECONDS = 10.0


@dataclass(frozen=True)
class Delivered:
    """A message that was delivered."""

    topic: bytes
    payload: bytes
    retained: bool


class Closed(Exception):
    """The broker ended the connection."""


class RawClient:
    """One connection; names and topics are bytes, and nothing is checked."""

    def __init__(
        self,
        port: int,
        user: bytes | None,
        secret: bytes | None,
        *,
        client_id: bytes | None = None,
        will: tuple[bytes, bytes] | None = None,
        will_retain: bool = False,
        version: int = 4,
        clean: bool = True,
        timeout: float = SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``timeout``: how long to wait, for a broker that does not answer refusals."""
        self.version = version
        self.received: list[Delivered] = []
        self._buffer = b""
        self._mid = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="127.0.0.1")
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flags = 0b10 if clean else 0
        properties = b"\0" if version == 5 else b""
        payload = text(user or b"" if client_id is None else client_id)
        if will is not None:
            flags |= 0b100 | (1 << 3) | (0b100000 if will_retain else 0)
            payload += properties + text(will[0]) + text(will[1])
        for value, flag in ((user, 0b10000000), (secret, 0b01000000)):
            if value is not None:
                flags |= flag
                payload += text(value)
        head = text(b"MQTT") + bytes([version, flags]) + struct.pack("!H", 60)
        self.send(0x10, head + properties + payload)
        kind, body = self._packet()
        self.is_accepted = kind == CONNACK and body[1] == 0

    def send(self, first: int, body: bytes) -> None:
        length, left = b"", len(body)
        while True:
            left, digit = divmod(left, 128)
            length += bytes([digit | (0x80 if left else 0)])
            if not left:
                break
        self._socket.sendall(bytes([first]) + length + body)

    def publish(self, topic: bytes, payload: bytes, *, retain: bool = False) -> int:
        """Publish with QoS 1; return the broker's reason code, 0 for success.

        Raises Closed if the broker ends the connection.
        """
        self._mid += 1
        properties = b"\0" if self.version == 5 else b""
        body = text(topic) + struct.pack("!H", self._mid) + properties + payload
        self._send_or_closed(0x32 | int(retain), body)
        answer = self._await(PUBACK)
        return answer[2] if len(answer) > 2 else 0

    def subscribe(self, topic: bytes) -> int:
        """Subscribe with QoS 1 and return what the broker granted."""
        self._mid += 1
        properties = b"\0" if self.version == 5 else b""
        body = struct.pack("!H", self._mid) + properties + text(topic) + b"\x01"
        self._send_or_closed(0x82, body)
        return self._await(SUBACK)[-1]

    def until(self, topic: bytes, *, seconds: float = PATIENCE) -> list[bytes]:
        """Return the received topics up to this one; wait for it."""
        deadline = time.monotonic() + seconds
        while True:
            topics = [message.topic for message in self.received]
            if topic in topics:
                end = topics.index(topic)
                self.received = self.received[end + 1 :]
                return topics[: end + 1]
            if time.monotonic() > deadline:
                raise AssertionError(f"{topic!r} never came; got {topics}")
            with contextlib.suppress(TimeoutError):
                self._take(*self._packet())

    def is_alive(self) -> bool:
        """Whether the broker still answers on this connection."""
        try:
            self.send(0xC0, b"")
            self._await(13)
        except (Closed, OSError):
            return False
        return True

    def closed_within(self, seconds: float) -> float | None:
        """Return how long it took the broker to end the connection, or None."""
        began = time.monotonic()
        self._socket.settimeout(seconds)
        try:
            while time.monotonic() - began < seconds:
                self._packet()
        except (Closed, ConnectionError):
            return time.monotonic() - began
        except TimeoutError:
            pass
        return None

    def drop(self) -> None:
        """Close without DISCONNECT, so that the broker sends the will."""
        self._socket.close()

    def _send_or_closed(self, first: int, body: bytes) -> None:
        try:
            self.send(first, body)
        except ConnectionError as error:
            raise Closed from error

    def _await(self, wanted: int) -> bytes:
        while True:
            kind, body = self._packet()
            if kind == wanted:
                return body
            self._take(kind, body)

    def _take(self, kind: int, body: bytes) -> None:
        if kind & 0xF0 or kind != PUBLISH:
            return
        first, body = body[0], body[1:]
        size = struct.unpack("!H", body[:2])[0]
        topic, rest = body[2 : 2 + size], body[2 + size :]
        if first & 0b110:
            self.send(0x40, rest[:2])
            rest = rest[2:]
        if self.version == 5:
            rest = rest[1 + rest[0] :]  # our properties have less than 128 bytes
        self.received.append(Delivered(topic, rest, bool(first & 1)))

    def _packet(self) -> tuple[int, bytes]:
        """Return kind and body; a PUBLISH keeps its flags in front of the body."""
        first = self._bytes(1)[0]
        length = shift = 0
        while True:
            digit = self._bytes(1)[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if not digit & 0x80:
                break
        body = self._bytes(length)
        kind = first >> 4
        return kind, bytes([first]) + body if kind == PUBLISH else body

    def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count:
            try:
                more = self._socket.recv(65_536)
            except ConnectionError as error:
                raise Closed from error
            if not more:
                raise Closed
            self._buffer += more
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found


def text(value: bytes) -> bytes:
    """Encode a string for MQTT."""
    return struct.pack("!H", len(value)) + value


def can_connect(
    port: int, user: bytes | None, secret: bytes | None, **how: object
) -> bool:
    """Whether the broker accepts a CONNECT."""
    try:
        client = RawClient(port, user, secret, **how)  # type: ignore[arg-type]
    except (Closed, OSError):
        return False
    welcome = client.is_accepted
    client.drop()
    return welcome
