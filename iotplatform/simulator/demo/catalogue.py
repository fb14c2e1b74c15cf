"""Owners, people and products of the demo fleet."""

from __future__ import annotations

from typing import Any

from registry.choices import DeviceKind, Role

TENANTS = {"acme": "ACME Cold Chain", "globex": "Globex Energy"}
PROJECTS = {
    "acme": {"cold-chain": "Cold chain Asia", "retail": "Retail North America"},
    "globex": {"metering": "Metering Europe"},
}
# Name, password, tenant, role; a superuser has no tenant. Demo only: the passwords are
# printed at every start, and pass by the rules for people's own.
PEOPLE: tuple[tuple[str, str, str | None, Role | None], ...] = (
    ("admin", "admin", None, None),
    ("manager@acme", "demo", "acme", Role.MANAGER),
    ("operator@acme", "demo", "acme", Role.OPERATOR),
    ("viewer@acme", "demo", "acme", Role.VIEWER),
    ("approver@acme", "demo", "acme", Role.APPROVER),
    ("manager@globex", "demo", "globex", Role.MANAGER),
    ("operator@globex", "demo", "globex", Role.OPERATOR),
)
TEMPERATURE = {"name": "temperature", "unit": "°C", "dead_band": 0.5}
BATTERY = {"name": "battery", "unit": "%", "dead_band": 2}
RSSI = {"name": "rssi", "unit": "dBm", "dead_band": 4}
HEARTBEAT_SECONDS = 30
BATTERY_REVISION = {
    "type": "object",
    "properties": {"battery_rev": {"type": "string", "searchable": True}},
}
REPORTED_KEYS = ["interval"]
# Wider than what the devices take (1 to 3,600 s): a product declares what can be meant,
# and a device of the demo's past rejects what it cannot do. Other keys are allowed.
CONFIG_SCHEMA = {
    "type": "object",
    "properties": {
        "interval": {
            "type": "number",
            "minimum": 0,
            "maximum": 86_400,
            "title": "Interval, seconds",
            "description": "How often the device measures.",
        },
        "led": {"type": "string", "maxLength": 16, "title": "Status light"},
    },
}

PRODUCTS: dict[str, dict[str, Any]] = {
    "sensor-s1": {
        "tenant": "acme",
        "name": "Sensor S1",
        "kind": DeviceKind.STANDALONE,
        "metrics": [TEMPERATURE, BATTERY],
        "attributes_schema": BATTERY_REVISION,
    },
    "gateway-g2": {
        "tenant": "acme",
        "name": "Gateway G2",
        "kind": DeviceKind.GATEWAY,
        "metrics": [
            {"name": "cpu", "unit": "%", "dead_band": 10},
            {"name": "uplink_kbps", "unit": "kbit/s", "dead_band": 100},
        ],
        "attributes_schema": {"type": "object", "properties": {}},
    },
    "probe-p1": {
        "tenant": "acme",
        "name": "Probe P1",
        "kind": DeviceKind.CHILD,
        "metrics": [
            TEMPERATURE,
            {"name": "humidity", "unit": "%", "dead_band": 3},
            BATTERY,
            RSSI,
        ],
        "attributes_schema": BATTERY_REVISION,
    },
    "meter-m1": {
        "tenant": "globex",
        "name": "Meter M1",
        "kind": DeviceKind.STANDALONE,
        "metrics": [
            {"name": "power", "unit": "W", "dead_band": 25},
            {"name": "voltage", "unit": "V", "dead_band": 2},
            RSSI,
        ],
        "attributes_schema": {
            "type": "object",
            "properties": {"meter_class": {"type": "string", "searchable": True}},
        },
    },
}

# Inside acme's first site: slug, name, kind, the space around it.
SPACES_SITE = ("acme", "shanghai-01")
SPACES: tuple[tuple[str, str, str, str | None], ...] = (
    ("pudong", "Cold store Pudong", "building", None),
    ("ground-floor", "Ground floor", "floor", "pudong"),
    ("upper-floor", "Upper floor", "floor", "pudong"),
    ("dock", "Loading dock", "room", "ground-floor"),
    ("cold-room-1", "Cold room 1", "room", "ground-floor"),
    ("cold-room-2", "Cold room 2", "room", "upper-floor"),
)
# The hardware revisions of sensor-s1, by the revision of its battery; and its batches:
# slug, name, revision of the battery. The last batch is the cause of the trouble.
REVISIONS = {
    "A": ("s1-rev-a", "Sensor S1, revision A"),
    "B": ("s1-rev-b", "Sensor S1, revision B"),
}
BATCHES = (
    ("s1-2024-06", "June 2024", "A"),
    ("s1-2025-07", "July 2025", "B"),
    ("s1-2025-11", "November 2025", "B"),
)
BAD_BATCH = "s1-2025-11"
