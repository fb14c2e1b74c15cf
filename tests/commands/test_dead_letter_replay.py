"""Replays of dead letters: once, with their arrival time, inside their tenant."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.services.dead_letter_replay import Replayed, replay_letters
from commands.services.uplink import ingest_batch
from iotplatform.common import tenant_scope
from iotplatform.common.messages import parse
from registry.models import AuditEntry, Device, Tenant
from state.models import (
    Alarm,
    DeadLetter,
    DeadLetterCount,
    Presence,
    TelemetryRollup,
    TelemetrySummary,
    Twin,
)
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.factories import DeviceFactory, UserFactory
from tests.state.scene import make_family

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def now() -> datetime:
    return datetime.now(UTC)


def arrive(topic: str, body: Any, *, at: datetime) -> None:
    """Ingest one message like any other."""
    payload = json.dumps(body).encode()
    message = parse(topic, payload, retained=False, arrived_at=at, adapter="mqtt")
    ingest_batch([message], [], now=at)


def letter_of(topic: str, body: Any, *, at: datetime) -> DeadLetter:
    """Return the letter of a message from a device that is not registered yet."""
    arrive(topic, body, at=at)
    letter = DeadLetter.objects.latest("pk")
    assert letter.reason == "unknown_device"
    return letter


def replay(*letters: DeadLetter) -> list[Replayed]:
    return replay_letters(letters, by=UserFactory(), now=now())


def outcome(letter: DeadLetter) -> str:
    return replay(letter)[0].outcome


def event(**more: Any) -> dict[str, Any]:
    return {"code": "hot", "severity": "warning", "state": "raised", **more}


def given_to(tenant: Tenant, letter: DeadLetter) -> DeadLetter:
    letter.tenant = tenant
    letter.save()
    return letter


def test_a_letter_of_a_device_registered_since_is_ingested_with_its_arrival_time() -> (
    None
):
    arrived_at = now() - HOUR
    letter = letter_of("iot/v1/late-1/event", event(), at=arrived_at)
    device = DeviceFactory(uid="late-1")
    total = DeadLetterCount.objects.get(reason="unknown_device").total

    [replayed] = replay(letter)

    assert (replayed.outcome, replayed.detail) == ("taken", "")
    assert Alarm.objects.get(device=device).code == "hot"
    assert Presence.objects.get(pk=device.pk).last_activity_at == arrived_at
    letter.refresh_from_db()
    assert (letter.outcome, letter.replayed_by is not None) == ("taken", True)
    assert DeadLetterCount.objects.get(reason="unknown_device").total == total


def test_a_letter_is_ingested_once_however_often_it_is_replayed() -> None:
    letter = letter_of("iot/v1/late-1/event", event(), at=now() - HOUR)
    device = DeviceFactory(uid="late-1")

    assert [outcome(letter) for _ in range(3)] == ["taken", "repeated", "repeated"]

    assert Alarm.objects.get(device=device).count == 1


def test_a_message_that_the_device_sent_again_meanwhile_changes_nothing() -> None:
    body = event(boot=3, seq=7)
    letter = letter_of("iot/v1/late-1/event", body, at=now() - HOUR)
    device = DeviceFactory(uid="late-1")
    arrive("iot/v1/late-1/event", body, at=now())

    assert outcome(letter) == "repeated"
    assert Alarm.objects.get(device=device).count == 1


def test_a_refused_replay_gives_the_reason_and_creates_no_second_letter() -> None:
    unknown = letter_of("iot/v1/nobody/event", event(), at=now())
    draft = DeadLetterDraft("iot/v1/nobody/event", "mqtt", "bad_json", "", payload=b"{")
    huge = DeadLetterDraft(
        "iot/v1/x/event", "mqtt", "too_large", "", payload=b"x" * 100_000
    )
    record_dead_letters([draft, huge], now=now())
    _, bad, large = DeadLetter.objects.order_by("pk")

    results = replay(large, bad, unknown)

    assert [row.outcome for row in results] == ["refused"] * 3
    assert [row.detail.partition(" ")[0] for row in results] == [
        *("unknown_device:", "bad_json:", "Only"),
    ]
    assert DeadLetter.objects.count() == 3


def test_old_births_and_old_reports_are_outdated() -> None:
    old = now() - HOUR
    birth = letter_of(
        "iot/v1/late-1/status", {"status": "online", "session": "old"}, at=old
    )
    report = letter_of(
        "iot/v1/late-1/reported", {"version": 1, "reported": {"a": 1}}, at=old
    )
    device = DeviceFactory(uid="late-1")
    arrive("iot/v1/late-1/status", {"status": "online", "session": "new"}, at=now())
    arrive("iot/v1/late-1/reported", {"version": 5, "reported": {"a": 5}}, at=now())

    assert [row.outcome for row in replay(birth, report)] == ["outdated"] * 2

    assert Presence.objects.get(pk=device.pk).session == "new"
    assert Twin.objects.get(pk=device.pk).reported == {"a": 5}


def test_a_letter_that_fails_does_not_stop_the_others() -> None:
    huge = {"metrics": {"t": 1.7e308}}
    at = now() - HOUR
    letters = [
        letter_of("iot/v1/late-1/telemetry", huge, at=at),
        letter_of("iot/v1/late-1/telemetry", huge, at=at),
        letter_of("iot/v1/late-1/event", event(), at=at),
    ]
    device = DeviceFactory(uid="late-1")

    results = replay(*letters)

    assert [row.outcome for row in results] == ["taken", "refused", "taken"]
    assert Alarm.objects.filter(device=device).count() == 1
    assert DeadLetter.objects.get(pk=letters[1].pk).outcome == "refused"


def test_a_tenants_letter_changes_no_device_of_another_tenant() -> None:
    gateway, _ = make_family()
    letter = letter_of("iot/v1/moved-1/event", event(), at=now() - HOUR)
    given_to(gateway.tenant, letter)
    theirs: Device = DeviceFactory(uid="moved-1")
    assert theirs.tenant != gateway.tenant

    [replayed] = replay(letter)

    assert replayed.outcome == "refused"
    assert not Alarm.objects.filter(device=theirs).exists()
    assert not Presence.objects.filter(pk=theirs.pk).exists()


def test_a_replay_is_in_the_audit_log() -> None:
    letter = letter_of("iot/v1/late-1/event", event(), at=now() - HOUR)
    device = DeviceFactory(uid="late-1")
    given_to(device.tenant, letter)
    user = UserFactory()

    with tenant_scope.scoped(
        tenant_scope.TenantScope(tenant_scope.PLATFORM, user_id=user.pk, door="console")
    ):
        replay_letters([letter], by=user, now=now())

    entry = AuditEntry.objects.get(kind="dead_letter")
    assert (entry.actor, entry.object_id) == (user.username, str(letter.public_id))
    assert entry.after is not None
    assert (entry.tenant, entry.after["outcome"]) == (device.tenant, "taken")
    assert "payload" not in entry.after


def test_a_replay_does_not_apply_metrics_again_that_were_accepted_at_first() -> None:
    device = DeviceFactory.create()
    body = {"metrics": {"temperature": 22.5, "humidity": None}}
    arrive(f"iot/v1/{device.uid}/telemetry", body, at=now())
    letter = DeadLetter.objects.get(reason="bad_metrics")

    assert outcome(letter) == "repeated"

    counts = TelemetryRollup.objects.filter(device=device).values_list("count")
    assert set(counts) == {(1,)}


def test_a_replay_accepts_the_usable_metrics_and_names_the_others() -> None:
    body = {"metrics": {"temperature": 22.5, "humidity": None}}
    letter = letter_of("iot/v1/late/telemetry", body, at=now())
    device = DeviceFactory.create(uid="late")
    given_to(device.tenant, letter)

    [replayed] = replay(letter)

    assert replayed.outcome == "taken"
    assert "metrics.humidity" in replayed.detail
    latest = TelemetrySummary.objects.get(pk=device.pk).latest
    assert latest["temperature"]["value"] == 22.5
    assert DeadLetter.objects.count() == 1
