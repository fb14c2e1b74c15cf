"""Who plays a scene: enough devices of one group, and no whole group beside it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from iotplatform.simulator.demo.fleet import demo_devices
from iotplatform.simulator.scenes.choice import (
    SCENES,
    Choice,
    FleetDevice,
    NoFit,
    choose,
)
from registry.choices import Lifecycle


def demo_fleet(size: int = 500) -> list[FleetDevice]:
    """Return the demo fleet as it is when all of it is online."""
    return [
        FleetDevice(
            uid=device.uid,
            site=f"{device.tenant}/{device.place.slug}",
            site_name=device.place.name,
            product=f"{device.tenant}/{device.product}",
            firmware=device.firmware,
            batch=f"{device.tenant}/{device.batch}" if device.batch else "",
            gateway=device.gateway_uid or "",
            is_gateway=device.product == "gateway-g2",
            has_battery=device.product in ("sensor-s1", "probe-p1"),
        )
        for device in demo_devices(size)
        if device.lifecycle == Lifecycle.ACTIVE
    ]


def players(choice: Choice, fleet: list[FleetDevice]) -> list[FleetDevice]:
    chosen = set(choice.uids)
    return [device for device in fleet if device.uid in chosen]


def test_the_outage_and_the_storm_take_two_whole_sites() -> None:
    fleet = demo_fleet()

    outage = players(choose("site-outage", fleet), fleet)
    storm = players(choose("alarm-storm", fleet), fleet)

    for rows in (outage, storm):
        [site] = {row.site for row in rows}
        assert len(rows) == sum(row.site == site for row in fleet) >= 5
    assert outage[0].site != storm[0].site


def test_a_site_with_most_devices_behind_one_gateway_has_no_outage_of_its_own() -> None:
    gateway = FleetDevice("g", "a/s", "S", "a/g", is_gateway=True)
    children = [FleetDevice(f"c{n}", "a/s", "S", "a/c", gateway="g") for n in range(8)]

    with pytest.raises(NoFit):
        choose("site-outage", [gateway, *children])


def test_children_of_a_gateway_elsewhere_do_not_lose_their_site() -> None:
    away = FleetDevice("g", "a/other", "O", "a/g", is_gateway=True)
    children = [FleetDevice(f"c{n}", "a/s", "S", "a/c", gateway="g") for n in range(3)]
    alone = [FleetDevice(f"d{n}", "a/s", "S", "a/d") for n in range(6)]

    assert set(choose("site-outage", [away, *children, *alone]).uids) == {
        row.uid for row in alone
    }


def test_bad_firmware_is_new_and_comes_to_few_devices_of_each_site() -> None:
    fleet = demo_fleet()

    choice = choose("bad-firmware", fleet)

    rows = players(choice, fleet)
    assert choice.version not in {row.firmware for row in fleet}
    assert len({row.product for row in rows}) == 1
    assert len(rows) >= 5
    assert max(Counter(row.site for row in rows).values()) <= 4
    assert not any(row.gateway or row.is_gateway for row in rows)


def test_a_battery_wave_reaches_most_of_one_batch_and_few_of_each_site() -> None:
    fleet = demo_fleet()

    rows = players(choose("battery-wave", fleet), fleet)

    [batch] = {row.batch for row in rows}
    assert len(rows) >= max(5, sum(row.batch == batch for row in fleet) / 2)
    assert max(Counter(row.site for row in rows).values()) <= 4


@pytest.mark.parametrize("scene", SCENES)
def test_the_same_fleet_plays_the_same_and_nobody_who_is_away_plays(
    scene: str,
) -> None:
    fleet = demo_fleet()
    away = {row.uid for row in fleet[::7]}
    partly = [replace(row, is_ready=row.uid not in away) for row in fleet]

    assert choose(scene, fleet) == choose(scene, fleet[::-1])
    assert away.isdisjoint(choose(scene, partly).uids)
    with pytest.raises(NoFit):
        choose(scene, [replace(row, is_ready=False) for row in fleet])
