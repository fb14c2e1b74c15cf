"""Blind spans of HTTP: silence counts only while a web process listened."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from iotplatform.adapters.http.liveness import HttpHeartbeat
from registry.models import Device
from state.models import ListeningSlot
from state.models.ingest import HTTP_SLOT
from state.selectors import list_slots
from state.selectors.adapter_liveness import (
    beats_of_slots,
    blind_since,
    blind_spans,
)
from state.services.presence.adapter_liveness import (
    open_slots,
    record_http_heartbeat,
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


def keep_http_alive(begin: datetime, end: datetime) -> None:
    """Record heartbeats of a web process without a gap."""
    while begin < end:
        begin = min(begin + 4 * SECOND, end)
        record_http_heartbeat("web:1", now=begin)


def http_and_mqtt_device() -> tuple[Device, Device]:
    """Return an HTTP and an MQTT device, both heard at 0."""
    devices = (
        DeviceFactory.create(adapter="http"),
        DeviceFactory.create(adapter="mqtt"),
    )
    for device in devices:
        say(device, "heartbeat", t(0))
    return devices


@pytest.mark.django_db
def test_while_the_web_is_away_http_devices_are_stale_and_mqtt_devices_are_judged() -> (
    None
):
    open_slots(1, now=t(0))
    record_http_heartbeat("web:1", now=t(0))
    of_web, of_bridge = http_and_mqtt_device()

    keep_listening(t(0), t(10))
    for minute in range(1, 11):
        sweep(t(minute))

    assert standing(of_web) == ("stale", "platform_blind")
    assert standing(of_bridge) == ("offline", "missed_heartbeats")

    keep_http_alive(t(11), t(16.5))
    sweep(t(13.2))
    sweep(t(16.5))
    assert standing(of_web) == ("offline", "missed_heartbeats")
    assert blind_spans("http") == ((t(0), t(11) + 4 * SECOND),)
    assert blind_spans() == ()


@pytest.mark.django_db
def test_while_no_bridge_reads_http_devices_are_judged_as_usual() -> None:
    open_slots(1, now=t(0))
    record_http_heartbeat("web:1", now=t(0))
    of_web, of_bridge = http_and_mqtt_device()

    keep_http_alive(t(0), t(10))
    for minute in range(1, 11):
        sweep(t(minute))

    assert standing(of_web) == ("offline", "missed_heartbeats")
    assert standing(of_bridge) == ("stale", "platform_blind")


@pytest.mark.django_db
def test_a_child_is_judged_by_the_adapter_of_its_gateway() -> None:
    open_slots(1, now=t(0))
    record_http_heartbeat("web:1", now=t(0))
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
def test_the_http_slot_is_neither_claimed_by_bridges_nor_listed() -> None:
    open_slots(2, now=t(0))
    record_http_heartbeat("web:1", now=t(0))

    assert set(beats_of_slots()) == {1, 2}
    assert [slot.slot for slot in list_slots()] == [1, 2]


@pytest.mark.django_db(transaction=True)
def test_a_web_process_sends_heartbeats_as_long_as_it_lives() -> None:
    heartbeat = HttpHeartbeat()
    heartbeat.start()
    try:
        rows = ListeningSlot.objects.filter(slot=HTTP_SLOT)
        wait_until(rows.exists, what="a heartbeat")
        first = rows.get()
        wait_until(
            lambda: rows.filter(beat_at__gt=first.beat_at).exists(), what="another"
        )
    finally:
        heartbeat.stop()

    assert blind_since(datetime.now(UTC) + MINUTE, "http") is not None
