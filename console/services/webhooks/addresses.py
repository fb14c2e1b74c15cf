"""To which addresses the platform may connect for a tenant.

A tenant names the URL, and the platform stands inside a network: so only public
addresses are allowed, and the address that was checked is the one that is connected to.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
PORTS = {"https": 443, "http": 80}
LONGEST_URL = 2_000
# Visible ASCII without what parsers disagree about.
PLAIN = re.compile(r"[!-~]+")
DISPUTED = re.compile(r"[\\<>\"{}|^`]")
HOST = re.compile(r"(?:[A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+\.?")
# Names that only mean something inside a network.
INSIDE = (
    *("localhost", "local", "localdomain", "internal", "intranet", "lan", "home"),
    *("corp", "private", "arpa", "test", "invalid", "onion", "cluster"),
)
_FORBIDDEN = [
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        "168.63.129.16/32",  # the metadata of a cloud, at a public address
        *("::/96", "100::/64", "2001:db8::/32", "fc00::/7", "fe80::/10"),
        *("fec0::/10", "ff00::/8"),
        # These have an IPv4 address inside, which may be any.
        *("64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"),
    )
]


class RefusedAddress(Exception):
    """The platform does not connect there; the text says why."""


@dataclass(frozen=True)
class Url:
    """A URL in its parts; the name is lower-case, an IPv6 address has no brackets."""

    scheme: str
    host: str
    port: int
    path: str  # with the query

    @property
    def place(self) -> str:
        """Return ``name:port``, as a superuser lists it."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"{name}:{self.port}"

    @property
    def host_header(self) -> str:
        name, _, _ = self.place.rpartition(":")
        return name if self.port == PORTS[self.scheme] else self.place


def read_url(text: str) -> Url:
    """Return a URL's parts; raises RefusedAddress for one that is no plain URL."""
    if not PLAIN.fullmatch(text) or DISPUTED.search(text) or len(text) > LONGEST_URL:
        raise RefusedAddress("Not a URL.")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise RefusedAddress("Not a URL.") from error
    if parts.scheme not in PORTS:
        raise RefusedAddress("Must begin with https://.")
    if "@" in parts.netloc or parts.fragment:
        raise RefusedAddress("Must have no user name, password or fragment.")
    if not host or port == 0 or not (":" in host or HOST.fullmatch(host)):
        raise RefusedAddress("Must name a host.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(parts.scheme, host.lower(), port or PORTS[parts.scheme], path)


def check_url(url: Url, *, is_listed: bool) -> None:
    """Raise RefusedAddress for a URL that is refused whatever its name means now."""
    if is_listed:
        return
    if url.scheme != "https":
        raise RefusedAddress("Must begin with https://.")
    if (literal := _literal(url.host)) is not None:
        check_address(literal)
    elif url.host.rstrip(".").rpartition(".")[2] in INSIDE or "." not in url.host:
        raise RefusedAddress("The name is one of an inner network.")


def resolve(url: Url, *, is_listed: bool) -> str:
    """Return the address to connect to; raises RefusedAddress, and OSError if unknown.

    A name with one forbidden address among others is refused.
    """
    check_url(url, is_listed=is_listed)
    found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    addresses = [str(row[4][0]) for row in found]
    if not is_listed:
        for text in addresses:
            check_address(ipaddress.ip_address(text.partition("%")[0]))
    return addresses[0]


def check_address(address: Address) -> None:
    """Raise RefusedAddress unless it is a public address of one host."""
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    forbidden = any(
        address in network
        for network in _FORBIDDEN
        if network.version == address.version
    )
    if forbidden or not address.is_global or address.is_multicast:
        raise RefusedAddress(
            "The address is not public: private, loopback, link-local and the like."
        )


def _literal(host: str) -> Address | None:
    """Return the address that a host is written as, in any of the old forms."""
    try:
        return ipaddress.ip_address(host.partition("%")[0].rstrip("."))
    except ValueError:
        pass
    try:
        # "127.1", "0x7f000001" and "2130706433" are addresses to every resolver.
        return ipaddress.ip_address(socket.inet_aton(host.rstrip(".")))
    except OSError:
        return None
