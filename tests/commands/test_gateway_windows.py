"""At most 20 commands are in flight behind one gateway; the others wait for room."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.choices import WaitsFor
from commands.models import Attempt, Command
from commands.services.gateway_windows import release_behind_gateways_across_tenants
from registry.models import Device
from tests.commands.units import Unit, ask, claim, deliver, fresh, now, online_unit
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db


def children_of(gateway: Device, count: int) -> list[Unit]:
    made = DeviceFactory.create_batch(
        count, tenant=gateway.tenant, kind="child", gateway=gateway
    )
    units = [Unit(device) for device in made]
    for unit in units:
        topic = f"iot/v1/{gateway.uid}/child/{unit.device.uid}/status"
        unit.say_on(topic, {"status": "online"})
    return units


def waiting() -> int:
    return Command.objects.filter(waits_for=WaitsFor.GATEWAY).count()


def release() -> int:
    return release_behind_gateways_across_tenants(now=now(), limit=100)


def test_the_21st_command_behind_a_gateway_waits_for_room() -> None:
    gateway = online_unit(kind="gateway").device
    units = children_of(gateway, 3)
    commands = [ask(units[place % 3]) for place in range(25)]
    own = ask(Unit(gateway))

    links = deliver()

    assert len(links) == 21
    assert own.public_id in {link.command_id for link in links}
    assert waiting() == 5
    assert Attempt.objects.count() == 21
    held = Command.objects.filter(waits_for=WaitsFor.GATEWAY)
    assert {command.attempt_count for command in held} == {0}
    assert release() == 0

    for command in commands[:2]:
        by_id = {unit.device.pk: unit for unit in units}
        unit = by_id[command.device_id]
        topic = f"iot/v1/{gateway.uid}/child/{unit.device.uid}"
        unit.say_on(
            f"{topic}/command/{command.public_id}/result", {"status": "succeeded"}
        )

    assert release() == 2
    assert waiting() == 3
    assert len(claim(at=now() + timedelta(seconds=1))) == 2


def test_another_gateway_has_its_own_room() -> None:
    first, second = (online_unit(kind="gateway").device for _ in range(2))
    (one,), (other,) = children_of(first, 1), children_of(second, 1)
    for _ in range(22):
        ask(one)
    reached = ask(other)

    deliver()

    assert waiting() == 2
    assert fresh(reached).status == "sent"
