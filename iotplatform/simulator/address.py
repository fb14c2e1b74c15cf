"""Find the broker's listener for devices."""

from __future__ import annotations

from urllib.parse import urlsplit

from iotplatform.simulator.link import Address

DEFAULT = Address("127.0.0.1", 1883)


class BadAddress(ValueError):
    """A port that cannot be used."""


def find_address(
    *, host: str, port: int | None, configured_port: str, mqtt_url: str
) -> Address:
    """Use the given address, else the embedded stack's port, else MQTT_URL."""
    if port is None and configured_port:
        if not configured_port.isdecimal():
            raise BadAddress(f"MQTT_PORT: {configured_port!r} is not a port")
        port = int(configured_port)
    if port is not None:
        if not 1 <= port <= 65_535:
            raise BadAddress(f"{port} is not a port")
        return Address(host or DEFAULT.host, port)
    url = urlsplit(mqtt_url)
    try:
        return Address(host or url.hostname or DEFAULT.host, url.port or DEFAULT.port)
    except ValueError as error:
        raise BadAddress(f"MQTT_URL: {error}") from error
