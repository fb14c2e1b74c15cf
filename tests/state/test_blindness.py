"""Blind spans: an outage of the platform makes no device offline."""

from __future__ import annotations

import pytest

from state.selectors import ingest_figures
from state.selectors.adapter_liveness import blind_since, blind_spans
from state.services.presence.adapter_liveness import open_slots
from tests.factories import DeviceFactory
from tests.state.scene import (
    SECOND,
    be_born,
    keep_listening,
    listen,
    moves,
    presence,
    say,
    standing,
    sweep,
    t,
    will,
)

pytestmark = pytest.mark.django_db


def test_ten_minutes_without_a_bridge_make_devices_stale_and_none_offline() -> None:
    open_slots(1, now=t(0))
    silent, back = DeviceFactory.create(), DeviceFactory.create()
    for device in (silent, back):
        be_born(device, t(0))
    keep_listening(t(0), t(1))

    for minute in range(2, 11):
        sweep(t(minute))
    assert standing(silent) == ("stale", "platform_blind")

    listen(t(11))
    say(back, "heartbeat", t(11) + SECOND)
    keep_listening(t(11), t(12.9))
    sweep(t(12.9))
    assert standing(silent) == ("stale", "platform_blind")
    assert standing(back) == ("online", "")
    keep_listening(t(12.9), t(16))
    sweep(t(13))
    sweep(t(16))

    assert standing(silent) == ("offline", "missed_heartbeats")
    assert [value for value, _ in moves(silent)] == [
        *("online", "stale", "suspect", "offline"),
    ]
    assert presence(back).disconnects_72h == 0


def test_a_device_that_was_offline_before_the_outage_stays_offline() -> None:
    open_slots(1, now=t(0))
    lost, left = DeviceFactory.create(), DeviceFactory.create()
    for device in (lost, left):
        be_born(device, t(0), "s1")
    keep_listening(t(0), t(1))
    will(left, t(1), "s1")
    keep_listening(t(1), t(6))
    sweep(t(6))

    sweep(t(60))

    assert standing(lost) == ("offline", "missed_heartbeats")
    assert standing(left) == ("offline", "last_will")


def test_one_unread_slot_makes_the_platform_blind_for_all_devices() -> None:
    open_slots(2, now=t(0))
    for minute in (1, 2, 3):
        listen(t(minute), slot=1)

    assert blind_since(t(3)) == t(0)
    listen(t(3), slot=2)
    assert blind_since(t(3)) is None
    assert blind_spans() == ((t(0), t(3)),)


def test_the_platform_is_blind_since_the_last_message_that_a_slow_bridge_has_read() -> (
    None
):
    open_slots(1, now=t(0))

    listen(t(1), read_up_to=t(0.5))

    assert blind_since(t(1)) == t(0.5)
    assert ingest_figures(t(1)).lag_seconds == 30
    assert ingest_figures(t(1)).rate == 10


def test_short_pauses_between_beats_are_no_blind_spans() -> None:
    open_slots(1, now=t(0))

    for second in (0, 2, 6, 7):
        listen(t(0) + second * SECOND)

    assert blind_since(t(0) + 12 * SECOND) is None
    assert blind_spans() == ()
