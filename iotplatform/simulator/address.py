"""Where the devices' listener is, when nobody says it."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from iotplatform.simulator.link import Address

DEFAULT = Address("127.0.0.1", 1883)


def find_address(
    *, host: str, port: int | None, mqtt_port: str, mqtt_url: str, data_dir: Path
) -> Address:
    """Choose: what was asked for, the embedded stack's port, the platform's broker."""
    if port is None and mqtt_port.isdecimal():
        port = int(mqtt_port)
    if port is None:
        port = _embedded_port(data_dir)
    if port is not None:
        return Address(host or DEFAULT.host, port)
    url = urlsplit(mqtt_url)
    try:
        found = url.port
    except ValueError:
        found = None
    return Address(host or url.hostname or DEFAULT.host, found or DEFAULT.port)


def _embedded_port(data_dir: Path) -> int | None:
    """Read which port a running stack has chosen for devices."""
    try:
        addresses = json.loads((data_dir / "run" / "demo.json").read_bytes())
        port = addresses["mqtt_port"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return port if isinstance(port, int) else None
