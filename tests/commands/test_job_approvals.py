"""The approval of a job covers exactly what was approved, for seven days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.models import Job, JobEvent, JobTarget
from commands.rollouts import APPROVAL_LAPSES_AFTER
from commands.services.job_approvals import (
    approve_job,
    cancel_unapproved_across_tenants,
    note_drift,
)
from commands.services.jobs import FrozenTarget, pause_job, resume_job
from registry.models import User
from tests.commands.test_job_api import JOBS, client_of
from tests.commands.test_jobs import again, commands_of, fleet_of, make_job, tick
from tests.commands.units import Unit, now
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

LISTED = FrozenTarget("", now(), None, "abc")


@pytest.fixture
def author() -> User:
    made: User = UserFactory.create(username="author")
    return made


def awaiting(units: list[Unit], author: User | None = None, **rollout: Any) -> Job:
    rollout = {"approval": True, **rollout}
    return make_job(units, rollout=rollout, actor=author, frozen=LISTED)


def scheduled(units: list[Unit], **rollout: Any) -> Job:
    start_at = (now() + timedelta(days=1)).isoformat()
    job = awaiting(units, start_at=start_at, **rollout)
    return approve_job(job=job, actor=None, reason="checked")


def start_time(job: Job) -> Any:
    assert job.start_at is not None
    return job.start_at + timedelta(seconds=1)


def test_a_rollout_can_ask_for_a_second_person(author: User) -> None:
    job = awaiting(fleet_of(1), author)
    api = client_of(job.tenant)
    path = f"{JOBS}{job.public_id}/"
    shown = api.get(path).json()

    started = api.post(f"{path}start/")
    approved = client_of(job.tenant, "approver").post(f"{path}approve/")

    assert shown["status"] == "awaiting_approval"
    assert shown["waits_for"].startswith("waiting for the approval of a second person")
    assert (started.status_code, approved.status_code) == (409, 200)
    assert approved.json()["status"] == "draft"
    assert approved.json()["approved_at"] is not None
    assert api.post(f"{path}start/").json()["status"] == "running"


def test_a_scheduled_job_starts_with_its_approval() -> None:
    job = scheduled(fleet_of(1))

    tick(start_time(job))

    assert again(job).status == "running"


@pytest.mark.parametrize("part", ["members", "params", "policy", "rollout"])
def test_what_is_not_what_was_approved_waits_for_another_approval(part: str) -> None:
    job = scheduled(fleet_of(2))
    if part == "members":
        JobTarget.objects.filter(job=job)[0].delete()
    elif part == "params":
        Job.objects.filter(pk=job.pk).update(params={"force": True})
    elif part == "policy":
        Job.objects.filter(pk=job.pk).update(policy=job.policy | {"attempts": 9})
    else:
        Job.objects.filter(pk=job.pk).update(rollout=job.rollout | {"canary": 2})

    tick(start_time(job))

    assert again(job).status == "awaiting_approval"
    assert again(job).approved_at is None
    assert commands_of(job) == []
    event = JobEvent.objects.filter(job=job).latest("pk")
    assert event.cause.endswith("it is no longer what was approved")


def test_a_job_that_was_paused_before_its_start_waits_for_it_again() -> None:
    job = scheduled(fleet_of(1))
    pause_job(job=job, actor=None, reason="a look")
    Job.objects.filter(pk=job.pk).update(params={"force": True})

    assert resume_job(job=job, actor=None, reason="go on").status == "scheduled"

    tick(start_time(job))
    assert again(job).status == "awaiting_approval"


def test_an_approval_lapses_after_seven_days() -> None:
    job = scheduled(fleet_of(1))
    approved_at = start_time(job) - APPROVAL_LAPSES_AFTER
    Job.objects.filter(pk=job.pk).update(approved_at=approved_at)

    tick(start_time(job))

    assert again(job).status == "awaiting_approval"


def test_a_job_that_nobody_approves_is_cancelled_after_seven_days() -> None:
    job = awaiting(fleet_of(1))
    cancel_unapproved_across_tenants(now=now() + timedelta(days=6), limit=10)
    assert again(job).status == "awaiting_approval"

    cancel_unapproved_across_tenants(now=now() + APPROVAL_LAPSES_AFTER, limit=10)

    assert again(job).status == "cancelled"
    event = JobEvent.objects.filter(job=job).latest("pk")
    assert event.cause == "cancelled by platform: nobody approved it in time"


def test_a_scheduled_job_waits_until_it_was_compared_with_its_query() -> None:
    units = fleet_of(1)
    start_at = (now() + timedelta(hours=1)).isoformat()
    job = make_job(units, rollout={"approval": True, "start_at": start_at})
    approve_job(job=job, actor=None, reason="")
    later = start_time(again(job))
    tick(later)
    assert again(job).status == "scheduled"

    note_drift(job, problem="", now=later)
    tick(later)

    assert again(job).status == "running"
