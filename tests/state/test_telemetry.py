"""Telemetry: latest values, indexed values, rollups; and a device's state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rest_framework.test import APIClient

from state.models import TelemetryRollup, TelemetrySummary
from state.selectors import (
    Stretch,
    get_state,
    latest_telemetry,
    timeline_entries,
)
from state.services.partitions import KEPT, keep_partitions
from state.services.rescoring import rescore_devices
from tests.factories import DeviceFactory, MembershipFactory
from tests.state.scene import SECOND, T0, arrive, be_born, say, t, uplink

pytestmark = pytest.mark.django_db
HOUR = T0.replace(minute=0, second=0)


def test_the_newest_value_is_kept_whatever_the_order_of_arrival() -> None:
    device = DeviceFactory.create()
    newest = {"temperature": 20, "odd": 1}

    say(device, "telemetry", t(0), metrics=newest, boot=1, seq=2)
    say(device, "telemetry", t(1), metrics={"temperature": 19}, boot=1, seq=1)

    shown = latest_telemetry(device)
    assert shown["temperature"]["value"] == 20
    assert shown["temperature"]["unit"] == "°C"
    assert shown["odd"] == {"value": 1, "at": shown["odd"]["at"], "unit": None}
    assert datetime.fromisoformat(shown["odd"]["at"]) == t(0)


@pytest.mark.parametrize("off", [-590, -5, 0, 5, 590])
def test_without_a_count_the_later_arrival_is_the_latest_value_whatever_its_ts(
    off: int,
) -> None:
    device = DeviceFactory.create()
    stamp = int(t(0).timestamp() * 1000) + off * 1000

    say(device, "telemetry", t(0), metrics={"temperature": 20}, ts=stamp)
    assert latest_telemetry(device)["temperature"]["at"] == (
        (t(0) + off * SECOND).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
    say(device, "telemetry", t(0.1), metrics={"temperature": 21})
    assert latest_telemetry(device)["temperature"]["value"] == 21
    say(device, "telemetry", t(0.2), metrics={"temperature": 22}, ts=stamp)
    assert latest_telemetry(device)["temperature"]["value"] == 22

    # Another bridge had an older message for a while.
    say(device, "telemetry", t(0.15), metrics={"temperature": 9}, ts=stamp)
    assert latest_telemetry(device)["temperature"]["value"] == 22


def test_a_time_from_a_wrong_device_clock_is_not_used_for_a_value() -> None:
    device = DeviceFactory.create()
    tomorrow = int((t(0) + timedelta(days=1)).timestamp() * 1000)

    say(device, "telemetry", t(0), metrics={"temperature": 20}, ts=tomorrow)
    say(device, "telemetry", t(1), metrics={"temperature": 21})

    assert latest_telemetry(device)["temperature"]["value"] == 21


def test_a_metric_updates_the_index_only_when_it_leaves_its_dead_band() -> None:
    device = DeviceFactory.create()  # temperature: 0.5

    seen = []
    for minute, value in enumerate((20, 20.4, 20.5, 20.1, 20.0)):
        say(device, "telemetry", t(minute), metrics={"temperature": value, "odd": 1})
        seen.append(TelemetrySummary.objects.get(pk=device.pk).indexed)

    assert [row["temperature"] for row in seen] == [20, 20, 20.5, 20.5, 20.0]
    assert all(row.keys() == {"temperature"} for row in seen)


def test_rollups_store_the_history_of_a_metric() -> None:
    device = DeviceFactory.create()
    minutes = [(0, 5.0), (1, 1.0), (4, 3.0), (6, 9.0)]

    arrive(
        *(
            uplink(
                device,
                "telemetry",
                HOUR + timedelta(minutes=minute),
                metrics={"temperature": value},
            )
            for minute, value in minutes[:3]
        )
    )
    for minute, value in minutes[3:]:
        at = HOUR + timedelta(minutes=minute)
        say(device, "telemetry", at, metrics={"temperature": value})

    rows = TelemetryRollup.objects.filter(device=device).order_by("step", "at")
    named = ("step", "minimum", "maximum", "total", "count", "last")
    assert list(rows.values_list(*named)) == [
        (300, 1.0, 5.0, 9.0, 3, 3.0),
        (300, 9.0, 9.0, 9.0, 1, 9.0),
        (3600, 1.0, 9.0, 18.0, 4, 9.0),
    ]


def test_before_the_first_message_the_documents_are_empty() -> None:
    device = DeviceFactory.create()
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(tenant=device.tenant).user)

    answer = client.get(f"/api/v1/devices/{device.uid}/state/")

    rule = "the connectivity rules: never connected"
    judged = {"kind": "judged", "rule": rule, "at": None}
    fact = {"kind": "fact", "rule": None, "at": None}
    assert answer.json() == {
        "presence": {
            "connectivity": "offline",
            "since": None,
            "cause": "never_connected",
            "last_seen_at": None,
            "last_activity_at": None,
        },
        "twin": {
            "desired": {},
            "desired_version": 0,
            "reported": {},
            "reported_version": 0,
            "delta": {},
        },
        "telemetry": {},
        "alarms": [],
        "risk": None,
        "diagnosis": None,
        "known_by": {
            "presence.connectivity": judged,
            "presence.since": judged,
            "presence.cause": judged,
            "presence.last_seen_at": fact,
            "presence.last_activity_at": fact,
        },
    }


def test_the_api_returns_a_devices_condition_with_times_in_utc() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    say(device, "telemetry", t(1), metrics={"temperature": 20})
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(tenant=device.tenant).user)

    body = client.get(f"/api/v1/devices/{device.uid}/state/").json()

    assert body["presence"]["connectivity"] == "online"
    assert body["presence"]["cause"] is None
    assert body["presence"]["last_activity_at"].endswith("Z")
    assert body["telemetry"]["temperature"]["value"] == 20
    assert body["telemetry"]["temperature"]["at"].endswith("Z")
    assert get_state(device)["risk"] is None


def test_the_api_says_of_every_value_how_it_is_known() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    say(device, "telemetry", t(1), metrics={"temperature": 20})
    say(device, "reported", t(1), version=1, reported={"firmware": "1"})
    say(device, "event", t(2), code="hot", severity="critical", state="raised")
    rescore_devices([device.pk], now=t(2))

    shown = get_state(device)

    known = shown["known_by"]
    alarm = shown["alarms"][0]["id"]
    assert {name: row["kind"] for name, row in known.items()} == {
        "presence.connectivity": "judged",
        "presence.since": "judged",
        "presence.cause": "judged",
        "presence.last_seen_at": "fact",
        "presence.last_activity_at": "fact",
        "twin.desired": "fact",
        "twin.desired_version": "fact",
        "twin.reported": "reported",
        "twin.reported_version": "reported",
        "twin.delta": "judged",
        "telemetry.temperature": "reported",
        f"alarms.{alarm}": "reported",
        "risk": "judged",
        "diagnosis": "judged",
    }
    assert all(row["rule"] for row in known.values() if row["kind"] == "judged")
    assert known["twin.reported"]["at"] == t(1)
    assert known["risk"]["at"] == t(2)


def test_the_timeline_shows_transitions_and_alarms_the_newest_first() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    say(device, "event", t(1), code="hot", severity="info", state="raised")
    say(device, "event", t(2), code="hot", severity="info", state="cleared")

    entries = timeline_entries(device, Stretch(t(3), 10))

    assert [entry["title"] for entry in entries] == [
        *("Alarm hot cleared", "Alarm hot raised", "online"),
    ]
    assert len(timeline_entries(device, Stretch(t(3), 2))) == 2
    before = timeline_entries(device, Stretch(t(1), 10))
    assert [entry["kind"] for entry in before] == ["connectivity"]


def test_partitions_exist_around_today() -> None:
    now = datetime.now(UTC)
    keep_partitions(now=now)  # the tests' database may be of yesterday

    assert keep_partitions(now=now) == 0
    assert keep_partitions(now=now + timedelta(days=2)) == 2 * len(KEPT)
