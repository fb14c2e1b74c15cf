"""Fleets whose values are independent of each other, and what is found in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from fleet.backends.documents import FleetDocument
from fleet.selectors.traits import SharedTraits, find_traits
from registry.models import Tenant
from tests.fleet.index import fill


def document(owner: Tenant, number: int, chance: Random, **values: Any) -> Any:
    """Return a device of which no value depends on another one."""
    site = chance.randrange(24)
    revision = chance.choice("ABC")
    made: dict[str, Any] = {
        "uid": f"dev-{number}",
        "tenant": owner.slug,
        "site": f"site-{site:02}",
        "region": ("East China", "North", "Europe")[site % 3],
        "product": "sensor",
        "model": "Sensor",
        "hardware_revision": f"rev-{revision}",
        "batch": f"{revision}{chance.randrange(4)}",
        "gateway": f"gw-{chance.randrange(60)}",
        "adapter": chance.choice(("mqtt", "mqtt", "http")),
        "lifecycle": "active",
        "tags": chance.sample(["winter", "field", "lab", "pilot"], 2),
        "firmware": chance.choice(("1.3.9", "1.4.1", "1.4.2")),
        "connectivity": chance.choice(("online", "online", "offline")),
        "disconnects_72h": chance.randrange(4),
        "rssi": -chance.random() * 60,
        "attr": {"battery_rev": chance.choice("AB"), "modem.chip": chance.choice("xy")},
        "reported": {"mode": chance.choice(("eco", "full"))},
        "metric": {"door_open": chance.randrange(2)},
    }
    return FleetDocument(number, owner.pk, made | values)


def fleet_of(
    tenant: Tenant, root: Path, size: int, seed: int, plant: Callable[[int], Any]
) -> None:
    chance = Random(seed)
    fill(root, [document(tenant, n, chance, **plant(n)) for n in range(1, size + 1)])


def found(tenant: Tenant, q: str) -> SharedTraits:
    return find_traits(tenants=[tenant], q=q)


def named(shared: SharedTraits) -> list[tuple[str, Any]]:
    """Return the single values that stand out."""
    return [
        (trait.conditions[0].field, trait.conditions[0].value)
        for trait in shared.traits
        if len(trait.conditions) == 1
    ]


def paired(shared: SharedTraits) -> list[dict[str, Any]]:
    """Return the values of each trait by field."""
    return [
        {each.field: each.value for each in trait.conditions} for trait in shared.traits
    ]
