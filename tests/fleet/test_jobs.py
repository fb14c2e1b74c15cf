"""New jobs: for exactly the devices of the preview."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from commands.models import Job, JobTarget
from fleet.services.indexing import Indexer
from registry.choices import Lifecycle, Role
from registry.models import Device
from state.models import Twin
from tests.factories import DeviceFactory, MembershipFactory
from tests.fleet.rows import make_command, make_presence

pytestmark = pytest.mark.django_db

JOB = {"name": "identify all", "command": {"name": "identify"}}


@pytest.fixture
def fleet(indexer: Indexer) -> list[Device]:
    """Three active devices and a retired one, indexed; the first is online."""
    first: Device = DeviceFactory.create(uid="a")
    same = {"tenant": first.tenant, "site": first.site, "product": first.product}
    others = [DeviceFactory.create(uid=uid, **same) for uid in ("b", "c")]
    retired = DeviceFactory.create(uid="d", lifecycle=Lifecycle.RETIRED, **same)
    make_presence(first)
    make_command(others[0])
    indexer.drain()
    return [first, *others, retired]


@pytest.fixture
def client(fleet: list[Device]) -> APIClient:
    """An operator of the devices' tenant."""
    member = MembershipFactory.create(tenant=fleet[0].tenant, role=Role.OPERATOR)
    client = APIClient()
    client.force_authenticate(member.user)
    return client


def post(client: APIClient, status: int, key: str = "", **body: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post("/api/v1/jobs/", JOB | body, format="json", headers=headers)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_a_dry_run_shows_what_the_job_would_affect_and_creates_nothing(
    client: APIClient, fleet: list[Device]
) -> None:
    preview = post(client, 200, query="*", dry_run=True, rollout={"canary": 1})

    assert preview["target_hash"] == hashlib.sha256(b"a\nb\nc\nd\n").hexdigest()
    assert preview["target_count"] == 4
    assert preview["index_lag_seconds"] == 0.0
    scope, risk = preview["scope"], preview["risk"]
    assert preview["cost"]["bytes"] > 3 * 200
    assert preview["cost"]["seconds"] is None
    assert preview["cost"]["past_jobs"] == 0
    assert scope["targets"] == 3
    assert [row["count"] for row in scope["left_out"]] == [1]
    site = fleet[0].site.slug
    assert scope["sites"] == [{"site": site, "targets": 3, "total": 4}]
    assert [wave["size"] for wave in scope["waves"]] == [1, 2]
    assert risk["not_online"] == 2
    assert risk["with_open_commands"] == 1
    assert risk["in_other_jobs"] == 0
    assert not Job.objects.exists()


def test_a_job_freezes_its_devices_with_query_and_hash(
    client: APIClient, fleet: list[Device]
) -> None:
    preview = post(client, 200, query="lifecycle:active", dry_run=True)
    made = post(
        client,
        201,
        query="lifecycle:active",
        expected_hash=preview["target_hash"],
        key="once",
    )

    assert made["status"] == "draft"
    assert made["query"] == "lifecycle:active"
    assert made["target_hash"] == preview["target_hash"]
    assert made["target_count"] == 3
    members = JobTarget.objects.filter(job__public_id=made["id"])
    assert {m.device_id for m in members} == {device.pk for device in fleet[:3]}


def test_a_repeated_request_returns_the_first_job(client: APIClient) -> None:
    first = post(client, 201, key="once", query="*")
    second = post(client, 200, key="once", query="*")
    post(client, 409, key="once", query="uid:a")

    assert first["id"] == second["id"]
    assert Job.objects.count() == 1


def test_a_set_that_changed_since_the_preview_is_refused_with_the_difference(
    client: APIClient, fleet: list[Device], indexer: Indexer
) -> None:
    preview = post(client, 200, query="name:pump OR uid:b OR uid:c", dry_run=True)
    Device.objects.filter(uid="a").update(name="pump")
    Device.objects.filter(uid="c").update(uid="z")
    indexer.drain()

    refusal = post(
        client,
        409,
        query="name:pump OR uid:b OR uid:c",
        expected_hash=preview["target_hash"],
    )

    assert refusal["gone"] == ["c"]
    assert refusal["added"] == ["a"]
    assert refusal["target_count"] == 2
    assert refusal["target_hash"] != preview["target_hash"]
    assert not Job.objects.exists()


def test_an_unknown_preview_hash_is_refused(client: APIClient) -> None:
    refusal = post(client, 409, query="*", expected_hash="0" * 64)

    assert refusal["gone"] is None


def test_a_cohort_a_snapshot_or_a_list_can_name_the_devices(
    client: APIClient, indexer: Indexer
) -> None:
    saved = {"name": "pair", "query": "uid:a OR uid:b"}
    cohort = client.post("/api/v1/cohorts/", saved, format="json").json()
    path = f"/api/v1/cohorts/{cohort['id']}/snapshot/"
    snapshot = client.post(path).json()
    Device.objects.filter(uid="b").update(uid="bb")
    indexer.drain()

    by_cohort = post(client, 200, cohort=cohort["id"], dry_run=True)
    by_snapshot = post(client, 200, snapshot=snapshot["id"], dry_run=True)
    by_uid = post(client, 200, devices=["c", "a", "c"], dry_run=True)

    assert by_cohort["target_count"] == 1
    assert by_snapshot["target_count"] == 2  # the same device under its new name
    assert by_snapshot["taken_at"] == snapshot["taken_at"]
    assert by_uid["target_count"] == 2
    assert by_uid["query"] is None
    assert by_uid["index_lag_seconds"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": "*", "devices": ["a"]}, "query"),
        ({"query": "regin:x"}, "query"),
        ({"devices": ["a", "nobody"]}, "devices"),
        ({"devices": []}, "devices"),
        ({"query": "uid:none"}, "devices"),
        ({"query": "*", "command": {"name": "explode"}}, "command.name"),
        ({"query": "*", "rollout": {"canary": -1}}, "rollout.canary"),
        ({"query": "*", "rollout": {"canary": 4}}, "rollout.canary"),
        (
            {"query": "*", "rollout": {"canary": 9_999}, "dry_run": True},
            "rollout.canary",
        ),
        ({"query": "*", "wave": 1}, "wave"),
        ({"query": "*", "name": ""}, "name"),
    ],
)
def test_an_invalid_job_is_refused_with_its_field(
    client: APIClient, body: dict[str, Any], field: str
) -> None:
    answer = post(client, 400, **body)

    assert [error["field"] for error in answer["errors"]] == [field]
    assert not Job.objects.exists()


def test_another_tenants_cohorts_and_devices_cannot_be_targets(
    client: APIClient, indexer: Indexer
) -> None:
    foreign = DeviceFactory.create(uid="foreign")
    member = MembershipFactory.create(tenant=foreign.tenant, role=Role.OPERATOR)
    stranger = APIClient()
    stranger.force_authenticate(member.user)
    saved = {"name": "all", "query": "*"}
    cohort = client.post("/api/v1/cohorts/", saved, format="json").json()
    snapshot = client.post(f"/api/v1/cohorts/{cohort['id']}/snapshot/").json()
    indexer.drain()

    post(stranger, 404, cohort=cohort["id"])
    post(stranger, 404, snapshot=snapshot["id"])
    post(stranger, 400, devices=["a"])
    assert post(stranger, 200, query="*", dry_run=True)["target_count"] == 1
    post(stranger, 400, query="*", tenant=cohort["tenant"])


def test_a_rollout_shows_null_for_unset_values(client: APIClient) -> None:
    job = post(client, 201, query="*", rollout={"window": None, "start_at": None})

    assert job["rollout"]["window"] is None
    assert job["rollout"]["start_at"] is None
    assert job["rollout"]["wave_size"] is None


def test_devices_that_have_the_values_already_are_left_out_and_counted(
    client: APIClient, fleet: list[Device]
) -> None:
    for device in fleet[:2]:
        Twin.objects.create(
            device=device,
            tenant=device.tenant,
            desired={"interval": 30},
            reported={"interval": 30, "fan": "on"},
            reported_at=timezone.now(),
        )
    wanted: dict[str, Any] = {
        "command": {"name": "set_config", "params": {"interval": 30}}
    }

    scope = post(client, 200, query="*", dry_run=True, **wanted)["scope"]
    made = post(client, 201, query="*", **wanted)
    refused = post(client, 400, query="uid:a OR uid:b", **wanted)

    assert (scope["targets"], scope["compliant"]) == (1, 2)
    assert {"reason": "has these values already", "count": 2} in scope["left_out"]
    assert scope["alarms_held_back_seconds"] > 0
    members = client.get(f"/api/v1/jobs/{made['id']}/targets/").json()["results"]
    assert {row["device"]: row["skip_reason"] for row in members} == {
        "a": "has these values already",
        "b": "has these values already",
        "c": None,
        "d": "is retired: only active devices join jobs",
    }
    assert refused["errors"] == [
        {
            "field": "devices",
            "message": "Nothing would change: 2 devices have these values already.",
        }
    ]
