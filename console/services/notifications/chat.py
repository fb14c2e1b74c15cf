"""Chat rooms: which addresses are allowed, and a text sent to one.

Apprise knows the services. It is kept to a few of them, without its options (they name
files and other hosts), and it connects only to addresses that were checked.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Timer, local
from typing import Any
from urllib.parse import urlsplit

from apprise import Apprise, AppriseAsset, NotifyBase
from apprise.common import OverflowMode
from urllib3.util import connection as urllib3_connection

from console.services.notifications.texts import Text
from console.services.webhooks.addresses import (
    DISPUTED,
    PLAIN,
    RefusedAddress,
    Url,
    check_address,
    check_url,
)
from console.services.webhooks.sender import ANSWER_SECONDS, LONGEST_SECONDS, Sent
from iotplatform.common.encryption import cipher_for

LONGEST_CHAT_URL = 1_000
PURPOSE = "chat"
# The services whose hosts are their own, and those that tenants run themselves.
HOSTED = {
    "slack": "Slack",
    "msteams": "Microsoft Teams",
    "discord": "Discord",
    "tgram": "Telegram",
}
OWN = {
    "mmost": "Mattermost",
    "mmosts": "Mattermost",
    "rocket": "Rocket.Chat",
    "rockets": "Rocket.Chat",
    "ntfy": "ntfy",
    "ntfys": "ntfy",
}
SECURE = {"mmosts", "rockets", "ntfys"}
SERVICES = HOSTED | OWN
# It loads no plugins and keeps no files of its own.
_ASSET = AppriseAsset(plugin_paths=[], http_redirects=False)
_of_thread = local()


@dataclass(frozen=True)
class Room:
    """A chat room by its address, which is a secret."""

    scheme: str
    text: str
    place: Url | None  # where it is; None: at its service

    @property
    def service(self) -> str:
        return SERVICES[self.scheme]


def read_room(text: str) -> Room:
    """Return a chat room; raises RefusedAddress, whose text quotes no secret."""
    if not PLAIN.fullmatch(text) or DISPUTED.search(text):
        raise RefusedAddress("Not a chat address, such as slack://….")
    if len(text) > LONGEST_CHAT_URL:
        raise RefusedAddress(f"At most {LONGEST_CHAT_URL} characters.")
    scheme = text.partition("://")[0].lower()
    if "://" not in text or scheme not in SERVICES:
        known = ", ".join(f"{name}://" for name in sorted(SERVICES))
        raise RefusedAddress(f"Must begin with one of {known}.")
    if "?" in text or "#" in text:
        raise RefusedAddress("Must have no options after a question mark.")
    room = Room(scheme, text, _place(scheme, text) if scheme in OWN else None)
    if _plugin(room) is None:
        raise RefusedAddress(f"Not the address of a room of {room.service}.")
    return room


def check_room(room: Room, listed: set[str]) -> None:
    """Raise RefusedAddress where its host is refused whatever its name means now."""
    if room.place is not None:
        check_url(room.place, is_listed=room.place.place in listed)


def encrypt_room(text: str) -> str:
    """Return an address as the table keeps it."""
    return cipher_for(PURPOSE).encrypt(text.encode()).decode()


def decrypt_room(kept: str) -> str:
    """Return the address; raises InvalidToken if SECRET_KEY is another one now."""
    return cipher_for(PURPOSE).decrypt(kept.encode()).decode()


def send_chat(address: str, text: Text, *, listed: set[str]) -> Sent:
    """Send a text to a room; what went wrong is said without its address."""
    try:
        room = read_room(address)
        check_room(room, listed)
    except RefusedAddress as error:
        return Sent(error=f"refused: {error}")
    plugin = _plugin(room)
    assert plugin is not None  # read_room has made one
    own = room.place.place if room.place is not None else ""
    guard = _Guard(own, is_listed=own in listed)
    with _guarded(guard):
        is_sent = plugin.notify(body=_harmless(text.body), title=_harmless(text.title))
    if is_sent:
        return Sent(status=200)
    if guard.refusal:
        return Sent(error=f"refused: {guard.refusal}")
    return Sent(error=f"{room.service} did not take it")


def _harmless(text: str) -> str:
    """Return a text that calls nobody and links nowhere: devices write parts of it."""
    return text.replace("@", "@\u200b").replace("<", "(").replace(">", ")")


def _plugin(room: Room) -> NotifyBase | None:
    made = Apprise.instantiate(room.text, asset=_ASSET, suppress_exceptions=True)
    if made is None:
        return None
    made.socket_connect_timeout = made.socket_read_timeout = ANSWER_SECONDS
    made.overflow_mode = OverflowMode.TRUNCATE
    # It would sleep for as long as a service asks: the next try comes later instead.
    made.throttle = lambda *_, **__: None  # type: ignore[method-assign]
    return made


def _place(scheme: str, text: str) -> Url:
    """Return where a service that a tenant runs itself is."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise RefusedAddress("Not a chat address.") from error
    is_cloud = scheme.startswith("ntfy") and parts.path.strip("/") == ""
    if is_cloud:  # ntfys://topic is a topic of the public server
        host, port = "ntfy.sh", None
    if not host:
        raise RefusedAddress("Must name a host.")
    kind = "https" if scheme in SECURE or is_cloud else "http"
    return Url(kind, host.lower(), port or (443 if kind == "https" else 80), "/")


@dataclass
class _Guard:
    """What the connections of one message may lead to."""

    own: str  # the room's own name:port; empty: it is at its service
    is_listed: bool  # a superuser allows that, whatever its address
    refusal: str = ""
    sockets: list[socket.socket] = field(default_factory=list)

    def cut(self) -> None:
        """End the connections: a service that sends a byte now and then would last."""
        for each in list(self.sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def _guarded(guard: _Guard) -> Iterator[None]:
    """Check every connection of this thread: by its address, at the moment it is made.

    A name may mean another address a moment later, so checking it before is no use.
    """
    _of_thread.guard = guard
    watchdog = Timer(LONGEST_SECONDS, guard.cut)
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
        _of_thread.guard = None
        for each in guard.sockets:
            each.close()


def _connect(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
    guard: _Guard | None = getattr(_of_thread, "guard", None)
    if guard is None:
        return _plain_connect(address, *args, **kwargs)
    host, port = address[0].strip("[]"), address[1]
    place = Url("https", host.lower(), port, "/").place
    is_own = place == guard.own
    try:
        if not is_own and port != 443:
            raise RefusedAddress("It leads to another host.")
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(row[4][0]) for row in found]
        if not (is_own and guard.is_listed):
            for each in addresses:
                check_address(ipaddress.ip_address(each.partition("%")[0]))
    except RefusedAddress as error:
        guard.refusal = str(error)
        raise OSError(str(error)) from error
    made = _plain_connect((addresses[0], port), *args, **kwargs)
    # Of its own: TLS takes the other one over, and both end together.
    guard.sockets.append(made.dup())
    return made


# Apprise brings no hook of its own for this. Without a guard on the thread nothing
# is different, so other users of urllib3 notice nothing.
_plain_connect = urllib3_connection.create_connection
urllib3_connection.create_connection = _connect
