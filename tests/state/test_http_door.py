"""The HTTP door's own blindness: silence counts only while the web was listening."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from iotplatform.adapters.http.liveness import DoorBeat
from registry.models import Device
from state.models import ListeningSlot
from state.models.ingest import HTTP_DOOR
from state.selectors import list_slots
from state.selectors.adapter_liveness import (
    beats_of_slots,
    blind_since,
    blind_spans,
)
from state.services.presence.adapter_liveness import (
    beat_of_door,
    open_slots,
)
from tests.factories import DeviceFactory
from tests.state.scene import (
    MINUTE,
    SECOND,
    keep_listening,
    say,
    standing,
    sweep,
    t,
)
from tests.waiting import wait_until


def keep_door(begin: datetime, end: datetime) -> None:
    """Beats of the web without a gap."""
    while begin < end:
        begin = min(begin + 4 * SECOND, end)
        beat_of_door("web:1", now=begin)


def both() -> tuple[Device, Device]:
    """One that speaks HTTP and one that speaks MQTT, both heard at 0."""
    devices = (
        DeviceFactory.create(adapter="http"),
        DeviceFactory.create(adapter="mqtt"),
    )
    for device in devices:
        say(device, "heartbeat", t(0))
    return devices


@pytest.mark.django_db
def test_while_the_web_is_away_its_devices_are_stale_and_the_others_judged() -> None:
    open_slots(1, now=t(0))
    beat_of_door("web:1", now=t(0))
    of_web, of_bridge = both()

    keep_listening(t(0), t(10))
    for minute in range(1, 11):
        sweep(t(minute))

    assert standing(of_web) == ("stale", "platform_blind")
    assert standing(of_bridge) == ("offline", "missed_heartbeats")

    keep_door(t(11), t(16.5))
    sweep(t(13.2))
    sweep(t(16.5))
    assert standing(of_web) == ("offline", "missed_heartbeats")
    assert blind_spans("http") == ((t(0), t(11) + 4 * SECOND),)
    assert blind_spans() == ()


@pytest.mark.django_db
def test_while_no_bridge_reads_devices_of_the_web_are_judged_all_the_same() -> None:
    open_slots(1, now=t(0))
    beat_of_door("web:1", now=t(0))
    of_web, of_bridge = both()

    keep_door(t(0), t(10))
    for minute in range(1, 11):
        sweep(t(minute))

    assert standing(of_web) == ("offline", "missed_heartbeats")
    assert standing(of_bridge) == ("stale", "platform_blind")


@pytest.mark.django_db
def test_a_child_is_heard_through_the_door_of_its_gateway() -> None:
    open_slots(1, now=t(0))
    beat_of_door("web:1", now=t(0))
    gateway = DeviceFactory.create(kind="gateway", adapter="http")
    child = DeviceFactory.create(
        tenant=gateway.tenant,
        kind="child",
        gateway=gateway,
        product=gateway.product,
        adapter="mqtt",
    )
    for device in (gateway, child):
        say(device, "heartbeat", t(0))

    keep_listening(t(0), t(10))
    for minute in range(1, 11):
        sweep(t(minute))

    assert standing(child) == ("stale", "platform_blind")


@pytest.mark.django_db
def test_the_door_is_no_slot_that_a_bridge_would_take_or_a_page_would_list() -> None:
    open_slots(2, now=t(0))
    beat_of_door("web:1", now=t(0))

    assert set(beats_of_slots()) == {1, 2}
    assert [slot.slot for slot in list_slots()] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_web_process_says_that_its_door_is_open_as_long_as_it_lives() -> None:
    door = DoorBeat()
    door.start()
    try:
        rows = ListeningSlot.objects.filter(slot=HTTP_DOOR)
        wait_until(rows.exists, what="a beat of the door")
        first = rows.get()
        wait_until(
            lambda: rows.filter(beat_at__gt=first.beat_at).exists(), what="another"
        )
    finally:
        door.stop()

    assert blind_since(datetime.now(UTC) + MINUTE, "http") is not None
