"""Held-back alarms survive outages and clock jumps of the platform."""

from __future__ import annotations

import pytest

from registry.models import Device
from state.models import Alarm, AlarmRule
from state.selectors.adapter_liveness import blind_spans
from state.services.alarms.held_back import (
    raise_held_back_across_tenants,
    restart_future_holds_across_tenants,
)
from state.services.presence.adapter_liveness import open_slots
from tests.factories import DeviceFactory
from tests.state.scene import MINUTE, announce, keep_listening, listen, say, t
from tests.state.test_alarm_rules import rule_for

pytestmark = pytest.mark.django_db

FAST, SLOW = 8, -8  # minutes that a device's clock is wrong, within the tolerance


def measure(device: Device, minute: float, value: float, *, off: float = 0) -> None:
    """Send a temperature; the device's clock is ``off`` minutes wrong."""
    ts = int((t(minute) + off * MINUTE).timestamp() * 1_000)
    say(device, "telemetry", t(minute), metrics={"temperature": value}, ts=ts)


def raised(minute: float) -> list[Device]:
    """Run the sweep; return the devices with an alarm."""
    raise_held_back_across_tenants(now=t(minute))
    return [alarm.device for alarm in Alarm.objects.order_by("pk")]


@pytest.fixture
def rule() -> AlarmRule:
    """Return a rule with a hold time of five minutes; the platform listens."""
    open_slots(1, now=t(0))
    return rule_for(DeviceFactory.create(), hold_seconds=300)


def device_of(rule: AlarmRule) -> Device:
    device: Device = DeviceFactory.create(tenant=rule.tenant, product=rule.product)
    return device


@pytest.mark.parametrize("off", [FAST, 0, SLOW])
def test_a_fast_device_clock_does_not_carry_a_held_back_alarm_across_an_outage(
    rule: AlarmRule, off: float
) -> None:
    """A fast clock would date a report from before the outage after it."""
    silent = device_of(rule)
    keep_listening(t(0), t(2))
    measure(silent, 2, 90, off=off)

    listen(t(9.5))  # no listening for over seven of ten minutes since the report

    assert raised(9.6) == []
    keep_listening(t(9.5), t(14.4))
    assert raised(14.4) == []
    keep_listening(t(14.4), t(14.6))
    assert raised(14.6) == [silent]


@pytest.mark.parametrize("off", [FAST, 0, SLOW])
def test_a_report_after_an_outage_counts_by_the_platforms_clock(
    rule: AlarmRule, off: float
) -> None:
    """A slow clock would date a report from after the outage before it."""
    warm = device_of(rule)
    keep_listening(t(0), t(2))
    measure(warm, 1, 90, off=off)

    listen(t(12))
    measure(warm, 12.1, 90, off=off)
    keep_listening(t(12), t(12.2))

    assert raised(12.2) == [warm]


@pytest.fixture
def fleet(rule: AlarmRule) -> dict[str, Device]:
    """Return devices with a fresh report: one goes on, one clears, one is silent."""
    fleet = {fate: device_of(rule) for fate in ("warm", "mended", "silent")}
    keep_listening(t(0), t(1))
    for device in fleet.values():
        measure(device, 1, 90)
    assert raised(1) == []
    return fleet


def go_on_from(fleet: dict[str, Device], minute: float) -> None:
    """The platform is back and hears the devices again, except for the silent one.

    The report that goes on is raised after its hold time; the silent device's is raised
    one hold time after the platform is back.
    """
    listen(t(minute))
    assert raised(minute) == []
    measure(fleet["mended"], minute + 0.1, 70)
    measure(fleet["warm"], minute + 0.2, 90)
    tidy(minute + 0.3)
    keep_listening(t(minute), t(minute + 4.9))
    assert set(raised(minute + 4.9)) <= {fleet["warm"]}
    keep_listening(t(minute + 4.9), t(minute + 6))
    assert set(raised(minute + 6)) == {fleet["warm"], fleet["silent"]}


def tidy(minute: float) -> None:
    restart_future_holds_across_tenants(now=t(minute))


def test_a_restart_of_everything_raises_no_storm_of_alarms(
    fleet: dict[str, Device],
) -> None:
    for minute in (11, 11.5):  # the worker is back before the bridge
        assert raised(minute) == []

    open_slots(1, now=t(12))

    go_on_from(fleet, 12)


def test_a_clock_that_jumps_an_hour_ahead_raises_no_storm_of_alarms(
    fleet: dict[str, Device],
) -> None:
    assert raised(61) == []  # before the bridge's next beat, and after it

    go_on_from(fleet, 61)


def test_a_clock_that_is_set_back_an_hour_raises_no_storm_and_delays_no_alarm(
    fleet: dict[str, Device],
) -> None:
    assert raised(-59) == []

    go_on_from(fleet, -59)


def test_a_clock_that_was_an_hour_ahead_for_a_while_leaves_no_blind_span(
    fleet: dict[str, Device],
) -> None:
    listen(t(61))
    assert raised(61) == []
    measure(fleet["silent"], 61, 90)
    listen(t(2))

    assert blind_spans() == ((t(1), t(2)),)
    go_on_from(fleet, 2)


def test_maintenance_ends_in_time_even_if_the_clock_was_set_back(
    rule: AlarmRule,
) -> None:
    device = device_of(rule)
    announce(device, begin=t(-120), end=t(-50))
    announce(device, begin=t(0), end=t(30))
    say(device, "event", t(1.5), code="own", severity="info", state="raised")

    tidy(-59)

    assert raised(-50.1) == []
    assert raised(-50) == [device]
    assert Alarm.objects.get().code == "own"
