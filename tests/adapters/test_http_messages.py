"""Messages over HTTP: the same protocol and effects as over MQTT, clear refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from commands.services import uplink
from registry.choices import TokenScope
from registry.services.credentials import revoke_credentials_of
from registry.services.lifecycle import move_lifecycle
from registry.services.tokens import create_token
from state.models import DeadLetter, Presence, TelemetryRollup, TelemetrySummary
from tests.adapters.http_client import HttpUnit, http_unit
from tests.commands.units import ask, deliver, fresh
from tests.factories import DeviceFactory, MembershipFactory
from tests.registry.conftest import fields_of
from tests.state.scene import standing, sweep, twin

pytestmark = pytest.mark.django_db
JUDGE = "judge"  # the name by which ingest_batch calls it
ANSWER = "commands/0190a000-0000-7000-8000-000000000001"


def letters() -> list[tuple[str, str, str]]:
    rows = DeadLetter.objects.order_by("pk")
    return list(rows.values_list("adapter", "reason", "uid"))


def latest(unit: HttpUnit, metric: str) -> float:
    row = TelemetrySummary.objects.get(pk=unit.device.pk)
    return float(row.latest[metric]["value"])


def test_each_kind_of_message_has_the_same_effect_over_http_as_over_mqtt() -> None:
    unit = http_unit()

    unit.say("status", {"status": "online", "boot": 1, "seq": 1})
    unit.say("heartbeat", {"boot": 1, "seq": 2})
    unit.say("telemetry", {"metrics": {"temperature": 21.5}})
    unit.say("reported", {"version": 1, "reported": {"firmware": "1.4.2"}})
    unit.say("event", {"code": "hot", "severity": "warning", "state": "raised"})

    assert standing(unit.device) == ("online", "")
    assert twin(unit.device).firmware == "1.4.2"
    assert letters() == []


def test_a_heartbeat_alone_makes_a_device_online_and_silence_offline() -> None:
    unit = http_unit()

    unit.say("heartbeat", {})
    assert standing(unit.device) == ("online", "")

    sweep(datetime.now(UTC) + timedelta(minutes=6))
    assert standing(unit.device) == ("offline", "missed_heartbeats")


def test_a_device_may_sleep_and_a_goodbye_does_not_count_as_a_disconnect() -> None:
    unit = http_unit()
    wakes = datetime.now(UTC) + timedelta(hours=3)
    unit.say("status", {"status": "online"})

    unit.say("status", {"status": "sleeping", "until": int(wakes.timestamp() * 1000)})
    sweep(datetime.now(UTC) + timedelta(hours=2))
    assert standing(unit.device) == ("online", "sleeping")
    unit.say("status", {"status": "goodbye"})

    assert standing(unit.device) == ("offline", "goodbye")
    assert Presence.objects.get(pk=unit.device.pk).disconnects_72h == 0


def test_a_list_of_messages_is_ingested_at_once_and_repeats_are_counted() -> None:
    unit = http_unit()
    many = [{"boot": 1, "seq": n, "metrics": {"temperature": n}} for n in range(500)]

    assert unit.say("telemetry", many) == {"taken": 500}
    unit.say("telemetry", many[-60:])

    assert Presence.objects.get(pk=unit.device.pk).repeats == 60
    assert letters() == []


def test_a_bad_metric_costs_only_itself_over_http_in_a_list_too() -> None:
    unit, lister = http_unit(), http_unit()
    body = {"metrics": {"temperature": 22.5, "humidity": None}}
    good = {"metrics": {"battery": 80}}

    assert unit.say("telemetry", body) == {"taken": 1}
    assert lister.say("telemetry", [good, body]) == {"taken": 2}

    assert (latest(unit, "temperature"), latest(lister, "temperature")) == (22.5, 22.5)
    assert latest(lister, "battery") == 80
    assert letters() == [
        ("http", "bad_metrics", unit.device.uid),
        ("http", "bad_metrics", lister.device.uid),
    ]


@pytest.mark.parametrize(
    ("kind", "body", "field", "reason"),
    [
        ("heartbeat", b"", "", "empty"),
        ("heartbeat", b"{", "", "bad_json"),
        ("heartbeat", b"\xff", "", "bad_json"),
        ("heartbeat", b'{"seq": "one"}', "seq", "bad_message"),
        ("heartbeat", b"[" * 5_000, "", "bad_json"),
        ("heartbeat", b"[]", "messages", "bad_message"),
        ("heartbeat", b"[" + b"{}," * 500 + b"{}]", "messages", "bad_message"),
        ("telemetry", b"{}", "metrics", "bad_message"),
        ("telemetry", b'{"metrics": {"t": "warm"}}', "metrics.t", "bad_message"),
        ("telemetry", b'{"metrics": {"t": 1e999}}', "metrics.t", "bad_message"),
        ("telemetry", b'[{"metrics": {}}, {"metrics": 1}]', "1.metrics", "bad_message"),
        ("reported", b'{"version": 1}', "reported", "bad_message"),
        ("reported", b'{"version":1,"reported":{"a":"\\u0000"}}', "", "bad_message"),
        ("event", b'{"code": "x", "severity": "info"}', "state", "bad_message"),
        ("status", b'{"status": "gone"}', "status", "bad_message"),
        (f"{ANSWER}/ack", b'{"status": "maybe"}', "status", "bad_message"),
        (f"{ANSWER}/result", b'"done"', "message", "bad_message"),
    ],
)
def test_an_invalid_message_is_refused_with_its_field_and_kept_as_a_dead_letter(
    kind: str, body: bytes, field: str, reason: str
) -> None:
    unit = http_unit()

    answer = unit.post(kind, body)

    assert answer.status_code == 400, answer.json()
    assert fields_of(answer) == {field}
    assert letters() == [("http", reason, unit.device.uid)]


def test_every_field_that_is_wrong_or_missing_is_named_with_its_message() -> None:
    unit = http_unit()
    good = {"code": "hot", "severity": "info", "state": "raised"}

    answer = unit.post("event", [good, {}, {"code": "hot", "state": "on"}])
    many = unit.post("telemetry", {"metrics": {f"m{n}": None for n in range(25)}})

    assert [row["field"] for row in answer.json()["errors"]] == [
        *("1.code", "1.severity", "1.state"),
        *("2.severity", "2.state"),
    ]
    detail = DeadLetter.objects.order_by("pk").first().detail  # type: ignore[union-attr]
    assert detail == "code: missing; severity: missing; state: missing"
    errors = many.json()["errors"]
    assert errors[0]["field"] == "metrics.m0"
    assert errors[-1] == {"field": "", "message": "And 5 more."}


def test_readings_kept_while_offline_are_accepted_over_http_also_of_a_child() -> None:
    gateway = http_unit(kind="gateway")
    child = DeviceFactory.create(
        tenant=gateway.device.tenant, kind="child", gateway=gateway.device
    )
    now = int(datetime.now(UTC).timestamp() * 1000)
    hours = [now - hour * 3_600_000 for hour in (1, 2, 200)]
    body = {"history": [{"ts": ts, "metrics": {"temperature": 9}} for ts in hours]}

    for path, device in (("", gateway.device), (f"child/{child.uid}/", child)):
        assert gateway.say(f"{path}telemetry", body) == {"taken": 1}

        rows = TelemetryRollup.objects.filter(device=device, step=300)
        assert sorted(row.last_at.timestamp() * 1000 for row in rows) == hours[1::-1]
        assert not TelemetrySummary.objects.filter(device=device).exists()
        assert standing(device) == ("online", "")
    details = DeadLetter.objects.values_list("reason", "detail")
    assert set(details) == {("bad_metrics", "history.2.ts: more than 7 days old")}


def test_valid_messages_beside_a_bad_one_are_ingested_and_counted() -> None:
    unit = http_unit()
    bodies: list[Any] = [
        {"metrics": {"temperature": 1}},
        {"metrics": "?"},
        {"metrics": {"temperature": 3}},
    ]

    answer = unit.post("telemetry", bodies)

    assert answer.status_code == 400
    assert fields_of(answer) == {"1.metrics"}
    assert answer.json()["taken"] == 2
    assert latest(unit, "temperature") == 3


def test_a_message_over_64_kib_and_a_body_over_8_mib_are_too_large() -> None:
    unit = http_unit()
    fits = {"version": 1, "reported": {"a": "x" * 65_000}}

    unit.say("reported", fits)
    one = unit.post("reported", json.dumps(fits).encode() + b" " * 1_000)
    all_of_it = unit.post("heartbeat", b" " * (8 * 1024 * 1024 + 1))

    assert (one.status_code, all_of_it.status_code) == (413, 413)
    assert [reason for _, reason, _ in letters()] == ["too_large", "too_large"]


def test_a_request_without_the_devices_secret_is_401_and_stores_nothing() -> None:
    unit, other = http_unit(), http_unit()
    _, key = create_token(
        user=MembershipFactory.create(tenant=unit.device.tenant).user,
        name="test",
        scopes=TokenScope.values,
    )
    good = unit.client._credentials["HTTP_AUTHORIZATION"]  # type: ignore[attr-defined]
    secret = good.partition(":")[2]
    tries = [
        "",
        "Device",
        "Device x y",
        f"Token {key}",
        f"Device {unit.device.uid}",
        f"Device {unit.device.uid}:",
        f"Device {unit.device.uid}:{secret}x",
        f"Device {other.device.uid}:{secret}",
        f"Device {unit.device.uid.upper()}:{secret}",
        f"Basic {unit.device.uid}:{secret}",
        f"Device @bridge:{secret}",
    ]

    for header in tries:
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=header)
        for call in (client.get, client.post):
            answer = call("/device/v1/commands/")
            assert answer.status_code == 401, header
        answer = client.post("/device/v1/heartbeat/", {}, format="json")
        assert answer.status_code == 401, header
        assert answer["WWW-Authenticate"] == "Device"
        assert answer["Content-Type"] == "application/problem+json"
    assert not Presence.objects.exists()


@pytest.mark.parametrize("how", ["revoked", "retired"])
def test_a_revoked_credential_is_refused_at_once(how: str) -> None:
    unit = http_unit()
    unit.say("heartbeat", {})

    if how == "revoked":
        revoke_credentials_of([unit.device.pk])
    else:
        move_lifecycle(device=unit.device, to="retired")

    assert unit.post("heartbeat", {}).status_code == 401
    assert unit.client.get("/device/v1/commands/").status_code == 401


def test_a_devices_secret_does_not_work_for_the_rest_api() -> None:
    unit = http_unit()

    answer = unit.client.get("/api/v1/devices/")

    assert answer.status_code == 401


def test_a_gateway_may_send_only_for_its_own_children() -> None:
    gateway = http_unit(kind="gateway")
    child = DeviceFactory.create(
        tenant=gateway.device.tenant,
        kind="child",
        gateway=gateway.device,
        adapter="http",
    )
    stranger = DeviceFactory.create()

    gateway.say(f"child/{child.uid}/heartbeat", {})
    foreign = gateway.post(f"child/{stranger.uid}/heartbeat", {})
    unknown = gateway.post("child/dev-404/heartbeat", {})
    malformed = gateway.post("child/a%20b/heartbeat", {})

    assert standing(child) == ("online", "")
    assert {foreign.status_code, unknown.status_code, malformed.status_code} == {404}
    assert foreign.json()["detail"] == unknown.json()["detail"]
    assert [reason for _, reason, _ in letters()] == [
        "gateway_mismatch",
        "unknown_device",
    ]
    assert not Presence.objects.filter(pk=stranger.pk).exists()


def test_another_devices_command_and_an_unknown_command_are_the_same_404() -> None:
    unit, other = http_unit(), http_unit()
    other.say("status", {"status": "online"})
    command = ask_over_http(other)

    theirs = unit.post(f"commands/{command.public_id}/ack", {"status": "received"})
    nobodys = unit.post(f"{ANSWER}/ack", {"status": "received"})

    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["detail"] == nobodys.json()["detail"]
    assert fresh(command).status == "sent"
    assert [reason for _, reason, _ in letters()] == ["unknown_command"] * 2


def ask_over_http(unit: HttpUnit) -> Any:
    """A command that the device has already received."""
    from tests.commands.units import Unit

    command = ask(Unit(unit.device))
    assert deliver() == []  # the bridge must not send it
    assert [c["id"] for c in unit.poll()["commands"]] == [str(command.public_id)]
    return command


def test_one_message_that_fails_does_not_stop_the_others_over_http(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unit = http_unit()
    real: Any = getattr(uplink, JUDGE)

    def judge(arrivals: Any, **rest: Any) -> Any:
        if any(arrival.uplink.message.seq == 13 for arrival in arrivals):
            raise ZeroDivisionError("unlucky")
        return real(arrivals, **rest)

    monkeypatch.setattr(uplink, JUDGE, judge)
    bodies = [{"boot": 1, "seq": n, "metrics": {"n": n}} for n in (12, 13, 14)]

    answer = unit.post("telemetry", bodies)

    assert answer.status_code == 409
    assert [reason for _, reason, _ in letters()] == ["refused"]
    assert latest(unit, "n") == 14


def test_an_unknown_path_is_a_problem_document() -> None:
    answer = Client().post("/device/v1/feelings/")

    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
