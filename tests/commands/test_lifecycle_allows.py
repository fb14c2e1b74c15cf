"""What each lifecycle allows: connecting, commands, jobs, alarms."""

from __future__ import annotations

import pytest

from commands.exceptions import CommandRefused
from commands.selectors.job_members import get_join_refusals
from registry.choices import Lifecycle
from registry.exceptions import LifecycleRefuses
from registry.models import Device
from registry.services.credentials import create_credential
from state.models import Alarm, Presence
from tests.commands.units import Unit, ask
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db

L = Lifecycle
# lifecycle: connects and is judged, single commands, jobs, alarms
ALLOWS = {
    L.PROVISIONED: (True, True, False, False),
    L.ACTIVE: (True, True, True, True),
    L.IN_REPAIR: (True, True, False, False),
    L.RETIRED: (False, False, False, False),
    L.REPLACED: (False, False, False, False),
}


def connects(device: Device) -> bool:
    try:
        create_credential(device, verifier="x")
    except LifecycleRefuses:
        return False
    return True


def is_judged(device: Device) -> bool:
    Unit(device).come_online()
    return Presence.objects.filter(device=device, connectivity="online").exists()


def takes_commands(device: Device) -> bool:
    try:
        ask(Unit(device), "reboot")
    except CommandRefused:
        return False
    return True


def joins_jobs(device: Device) -> bool:
    return not get_join_refusals(device.tenant, [device.pk])[device.pk]


def raises_alarms(device: Device) -> bool:
    body = {"code": "hot", "severity": "critical", "state": "raised"}
    Unit(device).say("event", body)
    return Alarm.objects.filter(device=device).exists()


def test_every_lifecycle_is_in_the_table() -> None:
    assert set(ALLOWS) == set(Lifecycle)


@pytest.mark.parametrize("lifecycle", Lifecycle)
def test_each_lifecycle_allows_what_the_table_lists(lifecycle: Lifecycle) -> None:
    device = DeviceFactory(lifecycle=lifecycle)
    may_connect, commands, jobs, alarms = ALLOWS[lifecycle]

    assert connects(device) is may_connect
    assert is_judged(device) is may_connect
    assert takes_commands(device) is commands
    assert joins_jobs(device) is jobs
    assert raises_alarms(device) is alarms
