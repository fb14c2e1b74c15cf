"""REST of commands, desired state and timeline: shapes, refusals, tenants, budgets."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from commands.models import Command
from commands.services.actions import cancel_command
from registry.models import Device
from tests.commands.units import Unit, ask, deliver, online_unit
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    TenantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

COMMANDS = "/api/v1/commands/"


def client_of(device: Device, role: str = "operator") -> APIClient:
    user = UserFactory.create(username=f"{role}-{uuid4().hex[:6]}@acme")
    MembershipFactory.create(user=user, tenant=device.tenant, role=role)
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def unit() -> Unit:
    return online_unit()


@pytest.fixture
def api(unit: Unit) -> APIClient:
    return client_of(unit.device)


def fields_of(answer: Any) -> list[str]:
    assert answer["Content-Type"].startswith("application/problem+json")
    return [row["field"] for row in answer.json()["errors"]]


def test_one_key_creates_one_command(api: APIClient, unit: Unit) -> None:
    body = {"device": unit.device.uid, "name": "reboot", "params": {}}
    headers = {"Idempotency-Key": "k1"}

    first = api.post(COMMANDS, body, format="json", headers=headers)
    repeat = api.post(COMMANDS, body, format="json", headers=headers)
    other = api.post(
        COMMANDS, {**body, "name": "identify"}, format="json", headers=headers
    )

    assert (first.status_code, repeat.status_code) == (201, 200)
    assert repeat.json()["id"] == first.json()["id"]
    assert other.status_code == 409
    assert Command.objects.count() == 1


def test_a_51st_pending_command_is_429_and_leaves_its_key_free(
    api: APIClient, unit: Unit
) -> None:
    first, *_ = [ask(unit) for _ in range(50)]
    body = {"device": unit.device.uid, "name": "reboot", "params": {}}
    headers = {"Idempotency-Key": "k1"}

    refused = api.post(COMMANDS, body, format="json", headers=headers)
    cancel_command(command=first, actor=None, reason="makes room")
    again = api.post(COMMANDS, body, format="json", headers=headers)

    assert (refused.status_code, again.status_code) == (429, 201)
    assert refused["Content-Type"].startswith("application/problem+json")


def test_a_command_has_the_fields_of_the_contract(api: APIClient, unit: Unit) -> None:
    command = ask(unit, "reboot")
    deliver()
    unit.acknowledge(command)
    unit.result(command, payload={"uptime": 3})

    body = api.get(f"{COMMANDS}{command.public_id}/").json()

    contract = """id device name class params status failure_class late created_at
        sent_at received_at succeeded_at verified_at ended_at attempts events tenant"""
    assert set(contract.split()) <= set(body)
    assert (body["class"], body["status"], body["failure_class"]) == (
        "operation",
        "succeeded",
        None,
    )
    (attempt,) = body["attempts"]
    assert (attempt["number"], attempt["adapter"], attempt["outcome"]) == (
        1,
        "mqtt",
        "received",
    )
    assert [event["status"] for event in body["events"]] == [
        "queued",
        "sent",
        "received",
        "succeeded",
    ]
    assert [event["actor"] for event in body["events"]][1:] == [
        "platform",
        "device",
        "device",
    ]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"device": None}, ["device"]),
        ({"name": "explode"}, ["name"]),
        ({"params": []}, ["params"]),
        ({"params": {"delay_seconds": "soon"}}, ["params.delay_seconds"]),
        ({"policy": {"attempts": 1000}}, ["policy.attempts"]),
        ({"colour": "red"}, ["colour"]),
    ],
)
def test_bad_input_is_400_naming_the_field(
    api: APIClient, unit: Unit, change: dict[str, Any], fields: list[str]
) -> None:
    body = {"device": unit.device.uid, "name": "reboot", "params": {}} | change

    answer = api.post(COMMANDS, body, format="json")

    assert answer.status_code == 400
    assert fields_of(answer) == fields
    assert not Command.objects.exists()


def test_a_real_time_command_to_an_offline_device_is_409(api: APIClient) -> None:
    unit = Unit(DeviceFactory.create())
    body = {"device": unit.device.uid, "name": "identify"}

    answer = client_of(unit.device).post(COMMANDS, body, format="json")

    assert answer.status_code == 409
    assert "offline" in answer.json()["detail"]


def test_everything_of_another_tenant_is_404(unit: Unit) -> None:
    command = ask(unit)
    stranger = client_of(online_unit().device)
    uid = unit.device.uid

    answers = [
        stranger.get(f"{COMMANDS}{command.public_id}/"),
        stranger.post(f"{COMMANDS}{command.public_id}/cancel/"),
        stranger.post(f"{COMMANDS}{command.public_id}/retry/"),
        stranger.post(f"{COMMANDS}{command.public_id}/escalate/"),
        stranger.post(COMMANDS, {"device": uid, "name": "reboot"}, format="json"),
        stranger.patch(f"/api/v1/devices/{uid}/desired/", {"a": 1}, format="json"),
        stranger.get(f"/api/v1/devices/{uid}/timeline/"),
        stranger.get(f"{COMMANDS}not-an-id/"),
    ]

    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert stranger.get(COMMANDS).json()["results"] == []


def test_a_viewer_can_read_but_not_act(unit: Unit) -> None:
    command = ask(unit)
    viewer = client_of(unit.device, "viewer")
    uid = unit.device.uid

    answers = [
        viewer.post(f"{COMMANDS}{command.public_id}/cancel/"),
        viewer.post(COMMANDS, {"device": uid, "name": "reboot"}, format="json"),
        viewer.patch(f"/api/v1/devices/{uid}/desired/", {"a": 1}, format="json"),
    ]

    assert [answer.status_code for answer in answers] == [403] * 3
    assert viewer.get(f"{COMMANDS}{command.public_id}/").status_code == 200


def test_a_request_without_a_token_is_401(unit: Unit) -> None:
    assert APIClient().get(COMMANDS).status_code == 401


def test_the_list_is_filtered_and_paged_with_few_queries(
    api: APIClient, unit: Unit, django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        ask(unit)
    deliver()

    with django_assert_max_num_queries(10):
        page = api.get(f"{COMMANDS}?limit=10&status=sent").json()

    assert len(page["results"]) == 10
    assert page["results"][0]["attempts"][0]["number"] == 1
    rest = api.get(page["next"]).json()
    assert len(rest["results"]) == 2
    assert api.get(f"{COMMANDS}?class=control").json()["results"] == []
    assert fields_of(api.get(f"{COMMANDS}?status=lost")) == ["status"]


def test_people_cancel_and_escalate_with_a_reason(api: APIClient, unit: Unit) -> None:
    command = ask(unit)
    path = f"{COMMANDS}{command.public_id}/"

    escalated = api.post(f"{path}escalate/", {"reason": "look"}, format="json")
    cancelled = api.post(f"{path}cancel/", {"reason": "wrong one"}, format="json")
    again = api.post(f"{path}cancel/")

    assert escalated.json()["status"] == "queued"
    assert cancelled.json()["status"] == "cancelled"
    assert cancelled.json()["events"][-1]["cause"] == "cancelled: wrong one"
    assert cancelled.json()["events"][-1]["actor"].startswith("operator-")
    assert again.status_code == 409


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/merge-patch+json"]
)
def test_a_patch_of_the_desired_document_creates_a_config_command(
    api: APIClient, unit: Unit, content_type: str
) -> None:
    path = f"/api/v1/devices/{unit.device.uid}/desired/"

    answer = api.patch(path, '{"interval": 5}', content_type=content_type)
    moved = api.patch(
        path,
        '{"interval": 9}',
        content_type=content_type,
        headers={"If-Match": '"7"'},
    )
    seen = api.patch(
        path,
        '{"interval": 9}',
        content_type=content_type,
        headers={"If-Match": '"1"'},
    )

    assert answer.status_code == 202
    assert (answer.json()["name"], answer.json()["desired_version"]) == (
        "set_config",
        1,
    )
    assert moved.status_code == 412
    assert (seen.status_code, seen.json()["desired_version"]) == (202, 2)


def test_a_patch_that_is_not_an_object_is_400(api: APIClient, unit: Unit) -> None:
    path = f"/api/v1/devices/{unit.device.uid}/desired/"

    for body in ("[]", "7", "{}", "{not json"):
        answer = api.patch(path, body, content_type="application/json")
        assert answer.status_code == 400, body


def test_the_timeline_merges_all_sources_in_pages(api: APIClient, unit: Unit) -> None:
    command = ask(unit)
    deliver()
    unit.result(command)
    path = f"/api/v1/devices/{unit.device.uid}/timeline/?limit=2"

    entries = []
    url: str | None = path
    while url:
        page = api.get(url).json()
        entries += page["results"]
        url = page["next"]

    assert {entry["kind"] for entry in entries} == {"connectivity", "command"}
    assert [entry["at"] for entry in entries] == sorted(
        (entry["at"] for entry in entries), reverse=True
    )
    assert len(entries) == 4
    assert fields_of(api.get(f"{path}&before=soon")) == ["before"]


def test_the_definitions_contain_class_schema_and_policy(api: APIClient) -> None:
    rows = api.get("/api/v1/command-definitions/").json()["results"]

    found = {row["name"]: (row["class"], row["repeatable"]) for row in rows}
    assert found == {
        "identify": ("control", True),
        "set_config": ("config", True),
        "update_firmware": ("job", True),
        "collect_logs": ("operation", False),
        "reboot": ("operation", False),
    }
    assert all(row["params_schema"]["type"] == "object" for row in rows)
    assert all("on_failure" in row["policy"] for row in rows)


def test_the_tenant_in_the_request_selects_the_device(unit: Unit) -> None:
    other = TenantFactory.create()
    user = UserFactory.create()
    for tenant in (unit.device.tenant, other):
        MembershipFactory.create(user=user, tenant=tenant)
    api = APIClient()
    api.force_authenticate(user)
    body = {"device": unit.device.uid, "name": "reboot"}

    wrong = api.post(COMMANDS, {**body, "tenant": other.slug}, format="json")
    right = api.post(
        COMMANDS, {**body, "tenant": unit.device.tenant.slug}, format="json"
    )

    assert (wrong.status_code, right.status_code) == (404, 201)
