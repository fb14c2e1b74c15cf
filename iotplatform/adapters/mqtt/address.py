"""MQTT_URL: where the broker is, and what it supports."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

PORTS = {"mqtt": 1883, "mqtts": 8883}
VERSIONS = ("5", "3.1.1")


class BadAddress(ValueError):
    """MQTT_URL cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """A broker, and how to connect to it."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)
    is_version_5: bool
    share: str  # name of the shared subscription; empty: the broker does not have any
    is_tls: bool

    @classmethod
    def parse(cls, url: str) -> BrokerAddress:
        """Parse ``mqtt://user:secret@host:port?version=5&share=name``."""
        parts = urlsplit(url)
        if parts.scheme not in PORTS or not parts.hostname:
            raise BadAddress("MQTT_URL must look like mqtt://user:secret@host:1883")
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError:
            raise BadAddress("MQTT_URL: the port is not a number") from None
        query = parse_qs(parts.query, keep_blank_values=True)
        version = query.get("version", ["5"])[0]
        if version not in VERSIONS:
            raise BadAddress(f"MQTT_URL: version must be {' or '.join(VERSIONS)}")
        return cls(
            host=parts.hostname,
            port=port,
            username=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            is_version_5=version == "5",
            share=query.get("share", [""])[0],
            is_tls=parts.scheme == "mqtts",
        )
