"""After any writes, the index equals the database once the outbox is drained."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from commands.models import Command
from fleet.services.index_check import verify_index
from fleet.services.indexing import Indexer
from registry.models import Device, Product, Site, Space
from state.models import Alarm, MaintenancePlace, Presence
from state.services.maintenance import settle_places_across_tenants
from state.services.presence.sweep import sweep_across_tenants
from state.services.rescoring import rescore_across_tenants
from tests.commands.units import Unit, ask, deliver, sweep
from tests.factories import DeviceFactory, ProductFactory, SiteFactory, SpaceFactory
from tests.fleet.rows import make_maintenance

Chance = random.Random


def device_sends(chance: Chance) -> None:
    """A device sends a message, which is ingested as from a broker."""
    unit = Unit(chance.choice(list(Device.objects.filter(lifecycle="active"))))
    number = chance.randrange(1, 60)
    messages: list[tuple[str, dict[str, Any]]] = [
        ("status", {"status": chance.choice(["online", "offline", "goodbye"])}),
        ("telemetry", {"metrics": {"temperature": number, "rssi": -number}}),
        (
            "reported",
            {
                "version": number,
                "reported": {"firmware": f"1.{number}", "modem": {"fw": "a"}},
            },
        ),
        (
            "event",
            {
                "code": f"c{number % 3}",
                "severity": chance.choice(["info", "critical"]),
                "state": chance.choice(["raised", "cleared"]),
            },
        ),
    ]
    unit.say(*chance.choice(messages))


def person_commands(chance: Chance) -> None:
    """A person sends a command, and perhaps the device answers."""
    unit = Unit(chance.choice(list(Device.objects.filter(lifecycle="active"))))
    command = ask(unit, *chance.choice([("reboot", {}), ("set_config", {"a": 1})]))
    if chance.random() < 0.7:
        deliver()
    if chance.random() < 0.7 and Command.objects.get(pk=command.pk).attempt_count:
        unit.result(command, chance.choice(["succeeded", "failed"]))


def time_passed(chance: Chance) -> None:
    """Time passes: devices are silent, commands time out."""
    later = timezone.now() + timedelta(minutes=chance.randrange(1, 90))
    sweep_across_tenants(now=later)
    sweep(later)


def maintenance_is_announced(chance: Chance) -> None:
    """People announce, change, end and withdraw maintenance, and its time comes."""
    device = Device.objects.get(pk=some_id(chance))
    begins = chance.randrange(-2, 3)
    acts: list[Callable[[], object]] = [
        lambda: make_maintenance(
            device,
            begins=begins,
            ends=begins + chance.randrange(1, 4),
            at_site=chance.random() < 0.3,
        ),
        lambda: MaintenancePlace.objects.update(
            until=timezone.now() + timedelta(hours=9)
        ),
        lambda: MaintenancePlace.objects.all().delete(),
        lambda: settle_places_across_tenants(
            now=timezone.now() + timedelta(hours=chance.randrange(4))
        ),
        lambda: rescore_across_tenants(now=timezone.now()),
    ]
    chance.choice(acts)()


def writes_without_services(chance: Chance) -> None:
    """Something writes without a service: a bulk update, raw SQL."""
    word = f"w{chance.randrange(9)}"
    writes: list[Callable[[], object]] = [
        lambda: Device.objects.update(name=word),
        lambda: Device.objects.filter(pk=some_id(chance)).update(
            tags=[word], attributes={"rev": word}, lifecycle="in_repair"
        ),
        lambda: Site.objects.filter(pk=some_id(chance, Site)).update(region=word),
        lambda: Site.objects.filter(pk=some_id(chance, Site)).update(
            slug=f"{word}-{chance.random()}"
        ),
        lambda: device_moves_to_space(chance),
        lambda: space_changes(chance, word),
        lambda: Product.objects.update(name=word, reported_keys=["modem.fw"]),
        lambda: Alarm.objects.all().delete(),
        lambda: Presence.objects.filter(pk=some_id(chance)).delete(),
        lambda: add_device(Site.objects.get(pk=some_id(chance, Site))),
        lambda: raw("UPDATE registry_device SET serial = %s || id", word),
    ]
    chance.choice(writes)()


def device_moves_to_space(chance: Chance) -> None:
    """A device moves into a space of its site, or out of it."""
    device = Device.objects.get(pk=some_id(chance))
    spaces = Space.objects.filter(site=device.site_id).values_list("pk", flat=True)
    Device.objects.filter(pk=device.pk).update(
        space=chance.choice([None, *spaces.order_by("pk")])
    )


def space_changes(chance: Chance, word: str) -> None:
    """A space is renamed, and a floor moves into its building or out of it."""
    Space.objects.filter(pk=some_id(chance, Space)).update(
        slug=f"{word}-{chance.random()}"
    )
    outer, inner = Space.objects.order_by("pk")[:2]
    Space.objects.filter(pk=inner.pk).update(parent=chance.choice([None, outer]))


def add_device(site: Site) -> None:
    DeviceFactory.create(site=site, tenant=site.tenant)


def some_id(
    chance: Chance, model: type[Device] | type[Site] | type[Space] = Device
) -> int:
    return chance.choice(list(model.objects.values_list("pk", flat=True)))


def raw(statement: str, *values: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


ACTS: list[Callable[[Chance], None]] = [
    *([device_sends] * 6),
    *([person_commands] * 3),
    *([maintenance_is_announced] * 3),
    time_passed,
    *([writes_without_services] * 3),
]


@pytest.mark.django_db
@pytest.mark.parametrize("seed", range(3))
def test_the_index_equals_the_database_after_any_writes(
    indexer: Indexer, seed: int
) -> None:
    chance = Chance(seed)
    site = SiteFactory.create(region="North")
    product = ProductFactory.create(
        tenant=site.tenant,
        attributes_schema={"properties": {"rev": {"searchable": True}}},
    )
    sites = [site, SiteFactory.create(tenant=site.tenant)]
    for at in (sites[0], sites[0], sites[1]):
        SpaceFactory.create(tenant=site.tenant, site=at)
    for number in range(8):
        DeviceFactory.create(
            tenant=site.tenant, site=sites[number % 2], product=product
        )
    for number in range(60):
        if Device.objects.filter(lifecycle="active").count() < 4:
            Device.objects.update(lifecycle="active")
        chance.choice(ACTS)(chance)
        if number == 30:
            indexer.rebuild()
        # Often, because a later write to the same device would hide a missing one.
        if chance.random() < 0.3 or number in (30, 59):
            while indexer.drain():
                pass
            found = verify_index(settle_seconds=0)
            assert (found.devices >= 8, found.device_ids) == (True, [])
