"""Presence: sessions, repeats, sleep, retained messages, children, the sweep."""

from __future__ import annotations

from datetime import timedelta

import pytest

from state.models import ConnectivityTransition
from state.services.presence.backfill import PastTransition, backfill_history
from state.services.presence.expected_disconnects import expect_disconnect
from tests.factories import DeviceFactory
from tests.state.scene import (
    arrive,
    be_born,
    make_family,
    moves,
    presence,
    say,
    standing,
    sweep,
    t,
    uplink,
    will,
)

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def test_a_device_that_sends_is_online_and_a_silent_one_goes_offline() -> None:
    device = DeviceFactory.create()

    be_born(device, t(0))
    assert standing(device) == ("online", "")
    sweep(t(1.9))
    assert standing(device) == ("online", "")
    sweep(t(2))
    assert standing(device) == ("suspect", "missed_heartbeat")
    sweep(t(5))
    assert standing(device) == ("offline", "missed_heartbeats")
    say(device, "heartbeat", t(6))

    assert moves(device) == [
        ("online", ""),
        ("suspect", "missed_heartbeat"),
        ("offline", "missed_heartbeats"),
        ("online", ""),
    ]
    assert presence(device).disconnects_72h == 1


def test_a_heartbeat_writes_no_indexed_column() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    due = presence(device).next_change_at

    say(device, "heartbeat", t(1))

    after = presence(device)
    assert after.last_activity_at == t(1)
    assert after.next_change_at == due
    sweep(t(2))
    assert presence(device).next_change_at == t(3)


def test_the_devices_own_interval_has_priority_over_its_products() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), heartbeat_seconds=600)

    sweep(t(19))

    assert standing(device) == ("online", "")


def test_a_will_of_the_current_session_turns_the_device_offline_at_once() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s1")

    will(device, t(1), "s1")

    assert standing(device) == ("offline", "last_will")
    assert presence(device).last_activity_at == t(0)
    assert presence(device).disconnects_72h == 1


def test_the_old_will_of_a_takeover_is_ignored_before_and_after_the_new_birth() -> None:
    late, early = DeviceFactory.create(), DeviceFactory.create()
    for device in (late, early):
        be_born(device, t(0), "s1")

    be_born(late, t(1), "s2")
    will(late, t(1) + SECOND, "s1")
    will(early, t(1), "s1")
    be_born(early, t(1) + SECOND, "s2")

    assert standing(late) == standing(early) == ("online", "")


def test_a_will_that_arrives_before_its_birth_counts_when_the_birth_arrives() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s1", boot=1, seq=1)

    will(device, t(1) + SECOND, "s2", boot=1)
    assert standing(device) == ("online", "")
    be_born(device, t(1) + 2 * SECOND, "s2", boot=1, seq=9)

    assert standing(device) == ("offline", "last_will")


def test_a_late_birth_does_not_bring_the_old_session_back() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s2", boot=1, seq=9)

    be_born(device, t(1), "s1", boot=1, seq=5)
    be_born(device, t(2), "s0", boot=0, seq=99)

    assert presence(device).session == "s2"


def test_the_will_of_a_session_before_a_reboot_is_ignored_after_the_first_message() -> (
    None
):
    device = DeviceFactory()
    be_born(device, t(0), "s1", boot=1, seq=1)
    say(device, "heartbeat", t(1), boot=2, seq=2)  # another bridge has its birth
    will(device, t(1) + SECOND, "s1")
    assert standing(device) == ("online", "")

    be_born(device, t(1) + 2 * SECOND, "s2", boot=2, seq=1)
    assert moves(device) == [("online", "")]

    will(device, t(2), "s2")
    assert standing(device) == ("offline", "last_will")


def test_a_will_without_session_makes_a_device_suspect_for_ten_seconds() -> None:
    silent, speaking = DeviceFactory.create(), DeviceFactory.create()
    for device in (silent, speaking):
        be_born(device, t(0))
        will(device, t(1), None)
        assert standing(device) == ("suspect", "will_without_session")

    say(speaking, "heartbeat", t(1) + 2 * SECOND)
    sweep(t(1) + 10 * SECOND)

    assert standing(speaking) == ("online", "")
    assert standing(silent) == ("offline", "last_will")


def test_a_goodbye_or_a_requested_reboot_is_no_abnormal_disconnect() -> None:
    polite, rebooted = DeviceFactory.create(), DeviceFactory.create()
    be_born(polite, t(0), "s1")
    be_born(rebooted, t(0), "s1")
    expect_disconnect([rebooted.pk], at=t(0), until=t(5), reason="reboot of ours")

    say(polite, "status", t(1), status="goodbye", session="s1")
    will(rebooted, t(1), "s1")

    assert standing(polite) == ("offline", "goodbye")
    assert standing(rebooted) == ("offline", "last_will")
    assert presence(polite).disconnects_72h == presence(rebooted).disconnects_72h == 0


def test_only_the_expected_disconnect_is_not_counted() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s0")
    expect_disconnect([device.pk], at=t(0), until=t(60), reason="reboot of ours")
    will(device, t(1), "s0")
    be_born(device, t(2), "s1")

    will(device, t(3), "s1")

    assert presence(device).disconnects_72h == 1


def test_a_device_lost_five_times_within_one_batch_was_lost_five_times() -> None:
    device, polite = DeviceFactory.create(), DeviceFactory.create()
    spoken = []
    for number in range(5):
        at, session = t(0) + number * SECOND, f"s{number}"
        for unit, status in ((device, "offline"), (polite, "goodbye")):
            for word in ("online", status):
                message = uplink(unit, "status", at, status=word, session=session)
                spoken.append(message)

    arrive(*spoken)

    assert standing(device) == ("offline", "last_will")
    assert presence(device).disconnects_72h == 5
    assert moves(device) == [("online", ""), ("offline", "last_will")] * 5
    assert presence(polite).disconnects_72h == 0


def test_a_sleeping_device_is_online_until_its_sleep_ends() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s1")
    until = int(t(30).timestamp() * 1000)
    say(device, "status", t(1), status="sleeping", until=until)

    will(device, t(2), "s1")
    sweep(t(29))
    assert standing(device) == ("online", "sleeping")
    sweep(t(30))
    assert standing(device) == ("online", "")
    sweep(t(35))
    assert standing(device) == ("offline", "missed_heartbeats")


def test_a_retained_message_is_no_activity() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), "s1")
    sweep(t(5))

    arrive(
        uplink(device, "status", t(6), retained=True, status="online", session="s1"),
        uplink(device, "heartbeat", t(6), retained=True),
    )

    assert standing(device) == ("offline", "missed_heartbeats")
    assert presence(device).last_seen_at == t(0)


def test_a_repeated_message_is_counted_and_is_no_activity() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), boot=1, seq=1)
    say(device, "heartbeat", t(1), boot=1, seq=70)

    for seq in (70, 1, 6, 69):  # known; older than the window (twice); new
        say(device, "heartbeat", t(2) + seq * SECOND, boot=1, seq=seq)
    say(device, "heartbeat", t(9), boot=1, seq=69)

    row = presence(device)
    assert (row.repeats, row.seq_high) == (2, 70)
    assert row.last_activity_at == t(2) + 69 * SECOND


def test_a_wrong_device_clock_is_marked_and_its_times_are_ignored() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0), ts=int((t(0) - timedelta(days=1)).timestamp() * 1000))
    assert presence(device).clock_skew
    assert presence(device).last_activity_at == t(0)

    say(device, "heartbeat", t(1), ts=int(t(1).timestamp() * 1000))

    assert not presence(device).clock_skew


def test_children_follow_their_gateway() -> None:
    gateway, (child,) = make_family()
    be_born(gateway, t(0), "s1")
    arrive(uplink(child, "status", t(0), through=gateway, status="online"))
    assert standing(child) == ("online", "")

    will(gateway, t(1), "s1")
    sweep(t(1) + SECOND)
    assert standing(child) == ("stale", "gateway_offline")
    be_born(gateway, t(9), "s2")
    sweep(t(9) + SECOND)

    assert standing(child) == ("online", "")
    assert presence(child).disconnects_72h == 0
    sweep(t(14))
    assert standing(gateway) == ("offline", "missed_heartbeats")
    assert standing(child) == ("stale", "gateway_offline")


def test_a_message_of_a_child_is_activity_of_its_gateway() -> None:
    gateway, (child,) = make_family()
    be_born(gateway, t(0))

    for minute in range(1, 8):
        arrive(uplink(child, "heartbeat", t(minute), through=gateway))
        sweep(t(minute))

    assert standing(gateway) == standing(child) == ("online", "")


def test_disconnects_leave_the_count_after_72_hours() -> None:
    device = DeviceFactory.create()
    hours = timedelta(hours=1)
    past = [
        PastTransition(device.pk, t(0) - n * hours, "online", "offline", "last_will")
        for n in (80, 71, 70, 2)
    ]
    backfill_history(past, now=t(0))
    assert presence(device).disconnects_72h == 3

    sweep(t(0) + 1 * hours)
    assert presence(device).disconnects_72h == 2
    sweep(t(0) + 71 * hours)

    assert presence(device).disconnects_72h == 0
    sweep(t(0) + 100 * hours)
    assert ConnectivityTransition.objects.filter(device=device).count() == 4


def test_last_activity_is_indexed_by_the_hour_and_exactly_when_a_device_leaves() -> (
    None
):
    device = DeviceFactory.create()
    be_born(device, t(0), "s1")
    hour = t(0).replace(minute=0, second=0)
    assert presence(device).activity_bucket == hour

    will(device, t(0) + SECOND, "s1")

    assert presence(device).activity_bucket == t(0)
