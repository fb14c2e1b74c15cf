"""Batches of the bridge: bad messages become dead letters, the others are stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from iotplatform.adapters.mqtt import intake
from iotplatform.adapters.mqtt.address import BadAddress, BrokerAddress
from iotplatform.adapters.mqtt.link import Received
from registry.models import Device
from state.models import Alarm, DeadLetter, Presence, TelemetrySummary
from state.selectors import dead_letter_figures
from tests.factories import DeviceFactory
from tests.state.scene import make_family

pytestmark = pytest.mark.django_db


def received(topic: str, body: Any, *, retained: bool = False) -> Received:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    now = datetime.now(UTC)
    return Received(1, 1, 1, 1, topic.encode(), payload, retained, now)


def event(device: Device, code: str) -> Received:
    body = {"code": code, "severity": "info", "state": "raised"}
    return received(f"iot/v1/{device.uid}/event", body)


def reasons() -> list[str]:
    return list(DeadLetter.objects.order_by("pk").values_list("reason", flat=True))


def test_bad_messages_become_dead_letters_and_the_others_are_stored() -> None:
    device = DeviceFactory.create()
    gateway, _ = make_family()
    retired = DeviceFactory.create(lifecycle="retired")

    intake.commit(
        [
            event(device, "before"),
            received(f"iot/v1/{device.uid}/event", b"{"),
            received(f"iot/v1/{device.uid}/telemetry", {"metrics": {"t": "hot"}}),
            received("iot/v1/nobody/heartbeat", {}),
            received(f"iot/v1/{retired.uid}/heartbeat", {}),
            received(f"iot/v1/{gateway.uid}/child/{device.uid}/heartbeat", {}),
            received(f"iot/v1/{device.uid}/event", b"\xff\x00" * 40_000),
            event(device, "after"),
        ]
    )

    assert set(Alarm.objects.values_list("code", flat=True)) == {"before", "after"}
    assert sorted(reasons()) == [
        *("bad_json", "bad_message", "gateway_mismatch", "lifecycle", "too_large"),
        "unknown_device",
    ]
    assert dead_letter_figures()["total"] == 6
    largest = DeadLetter.objects.get(reason="too_large")
    assert (largest.payload_bytes, len(largest.payload)) == (80_000, 65_536)
    assert largest.tenant_id == device.tenant_id


def test_a_bad_metric_over_mqtt_costs_only_itself_for_a_child_too() -> None:
    device = DeviceFactory.create()
    gateway, [child] = make_family()
    body = {"metrics": {"temperature": 22.5, "humidity": None}, "boot": 1, "seq": 1}
    topics = {
        device: f"iot/v1/{device.uid}/telemetry",
        child: f"iot/v1/{gateway.uid}/child/{child.uid}/telemetry",
    }

    for _ in range(2):  # a repeat is only counted
        intake.commit([received(topic, body) for topic in topics.values()])

    for each, topic in topics.items():
        latest = TelemetrySummary.objects.get(pk=each.pk).latest
        assert {name: known["value"] for name, known in latest.items()} == {
            "temperature": 22.5
        }
        assert Presence.objects.get(pk=each.pk).connectivity == "online"
        letter = DeadLetter.objects.get(uid=each.uid)
        assert (letter.reason, letter.topic) == ("bad_metrics", topic)
        assert letter.detail == "metrics.humidity: expected `float`, got `null`"
        assert letter.tenant_id == each.tenant_id
    assert dead_letter_figures()["by_reason"] == {"bad_metrics": 2}


@pytest.mark.parametrize("body", [{}, b"not json"])
def test_a_gateways_message_for_another_tenants_device_is_a_dead_letter_of_the_gateway(
    body: Any,
) -> None:
    gateway, _ = make_family()
    theirs = DeviceFactory.create()
    assert theirs.tenant != gateway.tenant

    intake.commit(
        [received(f"iot/v1/{gateway.uid}/child/{theirs.uid}/heartbeat", body)]
    )

    assert DeadLetter.objects.get().tenant == gateway.tenant
    assert not Presence.objects.filter(pk=theirs.pk).exists()


def test_a_message_that_the_database_refuses_does_not_stop_the_others() -> None:
    device, other = DeviceFactory.create(), DeviceFactory.create()
    huge = {"metrics": {"temperature": 1.7e308}}
    topic = f"iot/v1/{device.uid}/telemetry"
    intake.commit([received(topic, huge)])

    batch = [event(other, f"e{n}") for n in range(9)]
    intake.commit([*batch[:4], received(topic, huge), *batch[4:]])

    assert Alarm.objects.count() == 9
    assert reasons() == ["refused"]
    assert TelemetrySummary.objects.get(pk=device.pk).latest["temperature"]["value"]


def test_a_device_that_sends_only_invalid_messages_is_seen_but_not_active() -> None:
    device = DeviceFactory.create()

    intake.commit([received(f"iot/v1/{device.uid}/heartbeat", b"junk")])

    row = Presence.objects.get(pk=device.pk)
    assert (row.connectivity, row.cause) == ("stale", "invalid_messages")
    assert row.last_activity_at is None


def test_a_retained_message_is_ignored() -> None:
    device = DeviceFactory.create()

    intake.commit(
        [
            received(
                f"iot/v1/{device.uid}/status", {"status": "online"}, retained=True
            ),
            received(f"iot/v1/{device.uid}/status", b"{", retained=True),
        ]
    )

    assert not Presence.objects.filter(pk=device.pk).exists()
    assert reasons() == []


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://host", "mqtt://"),
        ("mqtt://", "mqtt://"),
        ("mqtt://host:x", "port"),
        ("mqtt://host?version=4", "version"),
    ],
)
def test_a_bad_broker_url_is_refused_with_the_reason(url: str, says: str) -> None:
    with pytest.raises(BadAddress, match=says):
        BrokerAddress.parse(url)


def test_a_broker_url_is_parsed() -> None:
    new = BrokerAddress.parse("mqtt://%40bridge:s%2Fx@host:99?version=5&share=b")
    old = BrokerAddress.parse("mqtts://host?version=3.1.1&share=")

    assert (new.username, new.password, new.port) == ("@bridge", "s/x", 99)
    assert (new.is_version_5, new.share) == (True, "b")
    assert (old.is_version_5, old.share, old.is_tls) == (False, "", True)
