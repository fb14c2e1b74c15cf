"""REST of jobs: their content, actions and permissions."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from commands.models import Job
from registry.models import Tenant
from tests.commands.test_jobs import answer, fleet_of, make_job, tick
from tests.commands.units import Unit
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

JOBS = "/api/v1/jobs/"
ACTIONS = ("start", "pause", "resume", "cancel", "retry")


def client_of(tenant: Tenant, role: str = "operator") -> APIClient:
    user = UserFactory.create(username=f"{role}-{uuid4().hex[:6]}@acme")
    MembershipFactory.create(user=user, tenant=tenant, role=role)
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.fixture
def units() -> list[Unit]:
    return fleet_of(4)


@pytest.fixture
def job(units: list[Unit]) -> Job:
    return make_job(units, rollout={"canary": 1, "failure_threshold": 0.5})


def test_a_job_shows_its_counts_by_status_wave_and_failure_class(
    units: list[Unit], job: Job
) -> None:
    api = client_of(job.tenant)
    started = api.post(f"{JOBS}{job.public_id}/start/")
    tick()
    answer(units, job)
    for _ in range(3):
        tick()
    answer(units, job, status="failed")
    tick()

    body = api.get(f"{JOBS}{job.public_id}/").json()

    assert started.json()["status"] == "running"
    assert body["status"] == "stopped"
    assert body["stop_reason"].startswith("Wave 1: 3 of 3")
    assert body["target_hash"] == "abc"
    assert body["counts"]["by_status"] == {"succeeded": 1, "failed": 3}
    assert body["counts"]["by_failure_class"] == {"execution_failed": 3}
    assert [
        (wave["number"], wave["canary"], wave["succeeded"], wave["failed"])
        for wave in body["counts"]["by_wave"]
    ] == [(0, True, 1, 0), (1, False, 0, 3)]


def test_members_are_listed_with_wave_and_status(
    units: list[Unit], job: Job, django_assert_max_num_queries: Any
) -> None:
    api = client_of(job.tenant)
    api.post(f"{JOBS}{job.public_id}/start/")
    tick()
    answer(units, job)

    with django_assert_max_num_queries(10):
        rows = api.get(f"{JOBS}{job.public_id}/targets/").json()["results"]

    assert sorted((row["wave"], row["status"]) for row in rows) == [
        (0, "succeeded"),
        (1, "pending"),
        (1, "pending"),
        (1, "pending"),
    ]
    path = f"{JOBS}{job.public_id}/targets/?wave=0"
    assert len(api.get(path).json()["results"]) == 1


def test_people_pause_resume_and_cancel_a_job_with_reasons(job: Job) -> None:
    api = client_of(job.tenant)
    path = f"{JOBS}{job.public_id}/"
    api.post(f"{path}start/")

    paused = api.post(f"{path}pause/", {"reason": "storm"}, format="json")
    without = api.post(f"{path}resume/")
    resumed = api.post(f"{path}resume/", {"reason": "over"}, format="json")
    cancelled = api.post(f"{path}cancel/", {"reason": "enough"}, format="json")
    again = api.post(f"{path}start/")

    assert "storm" in paused.json()["stop_reason"]
    assert without.status_code == 400
    assert without.json()["errors"][0]["field"] == "reason"
    assert resumed.json()["status"] == "running"
    assert cancelled.json()["status"] == "cancelled"
    assert again.status_code == 409
    history = api.get(f"{path}events/").json()["results"]
    assert [row["status"] for row in history] == [
        "draft",
        "running",
        "paused",
        "running",
        "cancelled",
    ]


def test_members_are_filtered_by_status(units: list[Unit], job: Job) -> None:
    api = client_of(job.tenant)
    path = f"{JOBS}{job.public_id}/"
    api.post(f"{path}start/")
    tick()

    def count(status: str) -> int:
        return len(api.get(f"{path}targets/?status={status}").json()["results"])

    assert (count("queued"), count("pending"), count("skipped")) == (1, 3, 0)
    assert count("queued&status=pending") == 4
    api.post(f"{path}cancel/")
    assert count("skipped") == 3
    assert api.get(f"{path}targets/?status=luck").status_code == 400


def test_a_broken_job_does_not_stop_the_others() -> None:
    fleets = [fleet_of(1), fleet_of(1)]
    broken, sound = (make_job(fleet) for fleet in fleets)
    for job in (broken, sound):
        client_of(job.tenant).post(f"{JOBS}{job.public_id}/start/")
    Job.objects.filter(pk=broken.pk).update(rollout={})

    tick()
    tick()
    answer(fleets[1], sound)
    tick()
    tick()

    statuses = Job.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["running", "completed"]


def test_another_tenants_job_is_404_and_a_viewer_changes_nothing(job: Job) -> None:
    stranger = client_of(fleet_of(1, online=False)[0].device.tenant)
    viewer = client_of(job.tenant, "viewer")
    path = f"{JOBS}{job.public_id}/"
    body = {"reason": "x", "failure_class": "no_ack"}

    def sent(client: APIClient, action: str) -> int:
        fields = body if action == "retry" else {"reason": "x"}
        return client.post(f"{path}{action}/", fields, format="json").status_code

    assert {sent(stranger, action) for action in ACTIONS} == {404}
    assert {sent(viewer, action) for action in ACTIONS} == {403}
    for part in ("", "targets/", "events/"):
        assert stranger.get(path + part).status_code == 404
        assert viewer.get(path + part).status_code == 200


def test_the_members_of_one_failure_class_are_retried(
    units: list[Unit], job: Job
) -> None:
    api = client_of(job.tenant)
    path = f"{JOBS}{job.public_id}/"
    api.post(f"{path}start/")
    tick()
    answer(units, job, status="failed")
    tick()
    assert api.get(path).json()["status"] == "stopped"

    refused = api.post(f"{path}retry/", {"failure_class": "luck"}, format="json")
    without = api.post(
        f"{path}retry/", {"failure_class": "execution_failed"}, format="json"
    )
    retried = api.post(
        f"{path}retry/",
        {"failure_class": "execution_failed", "reason": "fixed the relay"},
        format="json",
    )

    assert refused.status_code == 400
    assert retried.status_code == 200
    assert retried.json()["counts"]["by_status"] == {"queued": 1, "pending": 3}
    assert retried.json()["status"] == "stopped"
    assert [row["field"] for row in without.json()["errors"]] == ["reason"]
