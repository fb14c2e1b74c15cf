"""Clock jumps and restarts of the platform make no device offline."""

from __future__ import annotations

from datetime import datetime

import pytest

from registry.models import Device
from state.models import Alarm, ConnectivityTransition
from state.selectors.adapter_liveness import blind_since
from state.services.presence.adapter_liveness import open_slots
from tests.factories import DeviceFactory
from tests.state.scene import (
    SECOND,
    be_born,
    keep_listening,
    listen,
    make_family,
    presence,
    say,
    standing,
    sweep,
    t,
    will,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet() -> list[Device]:
    """Return devices that were heard up to a minute, while the platform listened."""
    open_slots(1, now=t(0))
    gateway, _ = make_family()
    fleet = [*DeviceFactory.create_batch(4), gateway]
    for device in fleet:
        be_born(device, t(0), "s1")
    keep_listening(t(0), t(1))
    for device in fleet:
        say(device, "heartbeat", t(1))
    sweep(t(1))
    return fleet


def never_offline() -> bool:
    lost = ConnectivityTransition.objects.filter(moved_to="offline")
    return not lost.exists() and not Alarm.objects.exists()


def test_after_a_restart_of_everything_devices_are_stale_and_not_offline(
    fleet: list[Device],
) -> None:
    sweep(t(11))  # the worker is back before the bridge

    assert {standing(device) for device in fleet} == {("stale", "platform_blind")}
    open_slots(1, now=t(11))
    listen(t(11) + SECOND)
    sweep(t(11) + SECOND)
    assert {standing(device) for device in fleet} == {("stale", "platform_blind")}
    for device in fleet:
        say(device, "heartbeat", t(11.5))
    keep_listening(t(11) + SECOND, t(12))
    sweep(t(12))

    assert {standing(device) for device in fleet} == {("online", "")}
    assert never_offline()
    assert {presence(device).disconnects_72h for device in fleet} == {0}


def test_a_clock_that_jumps_an_hour_ahead_turns_no_device_offline(
    fleet: list[Device],
) -> None:
    ahead = t(61)
    sweep(ahead)  # before the bridge's next beat, and after it
    assert {standing(device) for device in fleet} == {("stale", "platform_blind")}
    listen(ahead + SECOND)
    sweep(ahead + SECOND)
    assert {standing(device) for device in fleet} == {("stale", "platform_blind")}

    for device in fleet:
        say(device, "heartbeat", t(61.5))
    keep_listening(ahead + SECOND, t(62))
    sweep(t(62))

    assert {standing(device) for device in fleet} == {("online", "")}
    assert never_offline()


def test_a_clock_that_is_set_back_an_hour_turns_no_device_offline_and_hides_no_loss(
    fleet: list[Device],
) -> None:
    lost, silent, *well = fleet
    resume(t(-59), [*well, lost])
    assert {standing(device) for device in fleet} == {("online", "")}
    assert never_offline()
    assert blind_since(t(-59)) is None

    will(lost, t(-58.5), "s1")
    for minutes in (-58, -57, -56, -55, -54):
        resume(t(minutes), well)

    assert standing(lost) == ("offline", "last_will")
    assert standing(silent) == ("offline", "missed_heartbeats")
    assert {standing(device) for device in well} == {("online", "")}


def resume(at: datetime, speaking: list[Device]) -> None:
    """A normal minute: beats, heartbeats, a sweep."""
    keep_listening(at - 60 * SECOND, at)
    for device in speaking:
        say(device, "heartbeat", at)
    sweep(at)


def test_children_follow_their_gateway_even_after_the_clock_was_set_back() -> None:
    gateway, (child,) = make_family()
    be_born(gateway, t(0), "s1")
    be_born(child, t(0), "c1")
    sweep(t(0))

    will(gateway, t(-60), "s1")
    sweep(t(-60) + SECOND)

    assert standing(gateway) == ("offline", "last_will")
    assert standing(child) == ("stale", "gateway_offline")
