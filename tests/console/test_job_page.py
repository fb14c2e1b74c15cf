"""The job page: waves, counts that open what is behind them, and a person's hand."""

from __future__ import annotations

from typing import Any

import pytest

from commands.models import Job
from commands.services.job_advance import advance_jobs_across_tenants
from commands.services.jobs import start_job
from registry.choices import Role
from tests.commands.field import Unit, deliver, now
from tests.console.conftest import Fleet
from tests.console.jobs import launch

pytestmark = pytest.mark.django_db

ONLINE = "site:shanghai-01 AND connectivity:online"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def job(acme: Fleet) -> Job:
    """A job to two devices that are online: a canary, which is out, and a wave."""
    job = launch(acme, ONLINE, canary=1, wave_size=2)
    job = start_job(job=job, actor=None)
    advance_jobs_across_tenants(now=now())
    return job


def test_the_page_says_what_is_sent_to_whom_and_how_far_it_is(
    acme: Fleet, job: Job
) -> None:
    answer = acme.client().get(f"/jobs/{job.public_id}/")

    text = answer.content.decode()
    assert "identify all" in text
    assert "2 devices frozen" in text
    assert "site:shanghai-01" in text
    assert [wave.name for wave in answer.context["waves"]] == ["Canary", "Wave 1"]
    assert "its turn has not come" in text
    assert "its wave is to come" in text


def test_progress_is_304_until_something_changes(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}/progress/"
    etag = client.get(path, headers=HTMX)["ETag"]

    same = client.get(path, headers=HTMX | {"If-None-Match": etag})
    client.post(f"/jobs/{job.public_id}/pause/")
    other = client.get(path, headers=HTMX | {"If-None-Match": etag})

    assert same.status_code == 304
    assert not same.content
    assert other.status_code == 200
    assert "paused by" in other.content.decode()


def test_a_count_opens_the_members_behind_it(acme: Fleet, job: Job) -> None:
    answer = acme.client().get(f"/jobs/{job.public_id}/", {"show": "pending"})

    members = [row.device.uid for row in answer.context["members"]]
    [pending] = [r for r in answer.context["counts"] if r["label"] == "not sent"]
    assert len(members) == pending["count"] == 1
    assert "Members: not sent" in answer.content.decode()


def test_a_device_that_succeeds_moves_the_bar(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}/"
    deliver()
    for target in client.get(path).context["members"]:
        if target.command:
            Unit(target.device).result(target.command)

    answer = client.get(path)

    ended = {row["label"]: row["count"] for row in answer.context["counts"]}
    assert ended["executed"] == 1


def test_pausing_and_resuming_wants_a_reason(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}"

    client.post(f"{path}/pause/", {"reason": "look first"})
    without = client.post(f"{path}/resume/", headers=HTMX)
    with_reason = client.post(f"{path}/resume/", {"reason": "all well"}, headers=HTMX)

    assert without.status_code == 422
    assert "Say why the job may go on." in without.content.decode()
    assert with_reason.status_code == 200
    job.refresh_from_db()
    assert job.status == "running"


def test_what_is_over_is_not_paused_and_says_why(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}"

    cancelled = client.post(f"{path}/cancel/", {"reason": "wrong set"})
    late = client.post(f"{path}/pause/", headers=HTMX)
    plain = client.post(f"{path}/pause/")

    assert cancelled.status_code == 302
    assert late.status_code == plain.status_code == 409
    assert "The job is cancelled" in late.content.decode()
    assert "<html" in plain.content.decode()
    assert "<html" not in late.content.decode()


def test_an_unknown_action_is_refused(acme: Fleet, job: Job) -> None:
    assert acme.client().post(f"/jobs/{job.public_id}/explode/").status_code == 400


def test_the_list_names_who_waits_for_a_person(acme: Fleet, job: Job) -> None:
    client = acme.client()
    client.post(f"/jobs/{job.public_id}/pause/")

    answer = client.get("/jobs/", {"show": "waiting"})

    text = answer.content.decode()
    assert "1 job waits for a person" in text
    assert "identify all" in text
    assert "No job is over" in client.get("/jobs/", {"show": "over"}).content.decode()


def test_a_viewer_sees_no_button(acme: Fleet, job: Job) -> None:
    text: Any = acme.client(Role.VIEWER).get(f"/jobs/{job.public_id}/").content

    assert b"job-actions" not in text
