"""The job page shows the gate, what is held, the rollback, and before and after."""

from __future__ import annotations

import pytest

from commands.models import Job
from commands.services.job_advance import advance_jobs_across_tenants
from commands.services.jobs import FrozenTarget, create_job, start_job
from registry.choices import Role
from tests.commands.units import now
from tests.console.conftest import Fleet

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(acme: Fleet) -> Job:
    """A running job with a gate, of which a member has its command."""
    job, _ = create_job(
        tenant=acme.tenant,
        name="Faster",
        device_ids=[device.pk for device in acme.devices],
        command={"name": "set_config", "params": {"interval": 5}},
        rollout={
            "canary": 1,
            "health_gate": {"metric": "disconnects", "worse_by": 0.02},
        },
        frozen=FrozenTarget("*", now(), 0.0, "abc"),
        actor=None,
        idempotency_key=None,
        request="r",
    )
    start_job(job=job, actor=None)
    advance_jobs_across_tenants(now=now())
    return job


def test_the_page_shows_the_gate_and_the_members_before(acme: Fleet, job: Job) -> None:
    text = acme.client().get(f"/jobs/{job.public_id}/").content.decode()

    assert "Health gate" in text
    assert "abnormal disconnects" in text
    assert "Before and after" in text
    assert "rollback-form" in text


def test_a_job_is_rolled_back_and_its_hold_is_lifted(acme: Fleet, job: Job) -> None:
    path = f"/jobs/{job.public_id}/"
    client = acme.client()

    client.post(f"{path}rollback/", {"reason": "too fast"})
    text = client.get(path).content.decode()
    twice = client.post(f"{path}rollback/", {"reason": "again"})
    client.post(f"{path}lift/", {"reason": "it was the site"})
    lifted = client.get(path).content.decode()

    assert "It was rolled back" in text
    assert "Its configuration is held" in text
    assert twice.status_code == 409
    assert "it was the site" in lifted


def test_the_author_of_a_held_change_reads_who_may_lift_it(
    acme: Fleet, job: Job
) -> None:
    path = f"/jobs/{job.public_id}/"
    author = acme.client()
    user = author.session["_auth_user_id"]
    Job.objects.filter(pk=job.pk).update(created_by=user)
    author.post(f"{path}rollback/", {"reason": "too fast"})

    text = author.get(path).content.decode()
    refused = author.post(f"{path}lift/", {"reason": "mine"})
    second = acme.client(Role.ADMIN).get(path).content.decode()

    assert "somebody else must lift it" in text
    assert "lift-sheet" not in text
    assert refused.status_code == 409
    assert "lift-sheet" in second


def test_a_viewer_sees_no_action(acme: Fleet, job: Job) -> None:
    text = acme.client(Role.VIEWER).get(f"/jobs/{job.public_id}/").content.decode()

    assert "rollback-sheet" not in text
