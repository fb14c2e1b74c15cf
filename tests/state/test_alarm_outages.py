"""Outages of ours and jumps of our clock: what is held is neither raised nor lost."""

from __future__ import annotations

import pytest

from registry.models import Device
from state.models import Alarm, AlarmRule
from state.services.held import raise_held_across_tenants
from state.services.listening import open_slots
from tests.factories import DeviceFactory
from tests.state.scene import MINUTE, keep_listening, listen, say, t
from tests.state.test_alarm_rules import rule_for

pytestmark = pytest.mark.django_db

FAST, SLOW = 8, -8  # minutes; within what a device's clock may be off


def measure(device: Device, minute: float, value: float, *, off: float = 0) -> None:
    """Say a temperature; the device's clock is so many minutes off."""
    ts = int((t(minute) + off * MINUTE).timestamp() * 1_000)
    say(device, "telemetry", t(minute), metrics={"temperature": value}, ts=ts)


def raised(minute: float) -> list[Device]:
    """Sweep; return the devices with an alarm."""
    raise_held_across_tenants(now=t(minute))
    return [alarm.device for alarm in Alarm.objects.order_by("pk")]


@pytest.fixture
def rule() -> AlarmRule:
    """A rule that asks for five minutes, while we listen."""
    open_slots(1, now=t(0))
    return rule_for(DeviceFactory.create(), hold_seconds=300)


def device_of(rule: AlarmRule) -> Device:
    return DeviceFactory.create(tenant=rule.tenant, product=rule.product)


@pytest.mark.parametrize("off", [FAST, 0, SLOW])
def test_a_devices_clock_does_not_carry_its_complaint_across_an_outage(
    rule: AlarmRule, off: float
) -> None:
    """A fast one would say that it complained after the outage, when it did before."""
    silent = device_of(rule)
    keep_listening(t(0), t(2))
    measure(silent, 2, 90, off=off)

    listen(t(9.5))  # of ten minutes since it complained, more than seven unheard

    assert raised(9.6) == []
    keep_listening(t(9.5), t(14.4))
    assert raised(14.4) == []
    keep_listening(t(14.4), t(14.6))
    assert raised(14.6) == [silent]


@pytest.mark.parametrize("off", [FAST, 0, SLOW])
def test_a_complaint_after_an_outage_counts_by_our_clock(
    rule: AlarmRule, off: float
) -> None:
    """A slow one would say that it last complained before the outage."""
    warm = device_of(rule)
    keep_listening(t(0), t(2))
    measure(warm, 1, 90, off=off)

    listen(t(12))
    measure(warm, 12.1, 90, off=off)
    keep_listening(t(12), t(12.2))

    assert raised(12.2) == [warm]
