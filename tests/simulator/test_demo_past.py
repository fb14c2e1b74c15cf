"""The demo's past at any moment: who is in trouble, and that a later start goes on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from iotplatform.simulator.demo.connectivity_history import SPAN, Drop, drops_of
from iotplatform.simulator.demo.fleet import BLOCK, DemoDevice, demo_devices
from iotplatform.simulator.demo.places import EAST_CHINA

MOMENTS = 1_000
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
# Every hour of a day and every minute of an hour, for well over a year.
STEP = timedelta(hours=11, minutes=7, seconds=13)
TROUBLE = 5  # disconnects in 72 hours, as the reference query asks
SIZES = [10, 11, 30, 100]


def moments() -> Iterator[datetime]:
    return (FIRST + n * STEP for n in range(MOMENTS))


def drops(device: DemoDevice, since: datetime, until: datetime) -> list[Drop]:
    return list(
        drops_of(
            device.uid,
            device.odd_slot_chance,
            is_troubled=device.is_troubled,
            since=since,
            until=until,
        )
    )


def is_of_the_story(device: DemoDevice) -> bool:
    """Whether a device is what the story says of the troubled ones."""
    where = device.product == "sensor-s1" and device.place.region == EAST_CHINA
    is_built_so = device.attributes.get("battery_rev") == "B"
    return where and is_built_so and device.firmware.startswith("1.4.")


@pytest.mark.parametrize("size", SIZES)
def test_a_fleet_of_any_size_has_more_than_one_device_in_trouble(size: int) -> None:
    troubled = [device for device in demo_devices(size) if device.is_troubled]

    assert len(troubled) >= 2
    assert all(map(is_of_the_story, troubled))


def test_those_in_trouble_and_nobody_else_show_it_at_every_moment() -> None:
    fleet = list(demo_devices(max(SIZES)))

    for now in moments():
        often = {
            device.number
            for device in fleet
            if len(drops(device, now - SPAN, now)) >= TROUBLE
        }
        assert often == {d.number for d in fleet if d.is_troubled}, now


def test_flaky_devices_outside_the_story_stay_below_trouble() -> None:
    flaky = [
        device
        for device in demo_devices(100 * BLOCK)
        if device.profile == "flaky" and not device.is_troubled
    ]

    assert len(flaky) >= 50
    for now in list(moments())[::10]:
        for device in flaky:
            assert len(drops(device, now - SPAN, now)) < TROUBLE, (device.uid, now)


def test_a_later_start_goes_on_where_an_earlier_one_ended() -> None:
    troubled = [device for device in demo_devices(100) if device.is_troubled]

    for n, now in enumerate(moments()):
        border = now - n * STEP % SPAN  # anywhere in the window, and in a slot
        for device in troubled:
            whole = drops(device, now - SPAN, now)
            parts = drops(device, now - SPAN, border) + drops(device, border, now)
            cut = [d for d in whole if d.left_at <= border <= d.back_at]
            assert parts == [d for d in whole if d not in cut]
            assert len(parts) >= TROUBLE
