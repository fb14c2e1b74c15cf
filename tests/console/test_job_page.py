"""The job page: waves, counts with links to their members, and the actions."""

from __future__ import annotations

from typing import Any

import pytest

from commands.models import Command, Job, JobTarget
from commands.services.job_advance import advance_jobs_across_tenants
from commands.services.jobs import start_job
from console.views import jobs as views
from registry.choices import Role
from tests.commands.units import Unit, deliver, now
from tests.console.conftest import Fleet
from tests.console.jobs import launch
from tests.fleet.rows import make_presence

pytestmark = pytest.mark.django_db

ONLINE = "site:shanghai-01 AND connectivity:online"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def job(acme: Fleet) -> Job:
    """A job for two online devices: a released canary, and one wave."""
    job = launch(acme, ONLINE, canary=1, wave_size=2)
    job = start_job(job=job, actor=None)
    advance_jobs_across_tenants(now=now())
    return job


def test_the_page_shows_the_command_the_devices_and_the_progress(
    acme: Fleet, job: Job
) -> None:
    answer = acme.client().get(f"/jobs/{job.public_id}/")

    text = answer.content.decode()
    assert "identify all" in text
    assert "2 devices, fixed" in text
    assert "site:shanghai-01" in text
    assert [wave.name for wave in answer.context["waves"]] == ["Canary", "Wave 1"]
    assert "Waiting for earlier waves" in text
    assert "waiting for its wave" in text


def test_before_its_first_wave_a_job_waits_for_no_earlier_one(acme: Fleet) -> None:
    job = launch(acme, ONLINE, canary=1, wave_size=2)
    path = f"/jobs/{job.public_id}/"
    draft = acme.client().get(path)
    start_job(job=job, actor=None)

    answer = acme.client().get(path)

    assert [wave.label for wave in draft.context["waves"]] == ["Not sent"] * 2
    labels = [wave.label for wave in answer.context["waves"]]
    assert labels == ["Not sent", "Waiting for earlier waves"]
    text = answer.content.decode()
    assert "Nothing has been sent yet." in text
    assert "the last one is watched" not in text


def test_a_cancelled_job_waits_for_no_wave(acme: Fleet, job: Job) -> None:
    path = f"/jobs/{job.public_id}/"
    acme.client().post(f"{path}cancel/", {"reason": "enough"})

    waves = acme.client().get(path).context["waves"]

    assert waves[-1].label == "Not sent"


def test_a_running_job_says_what_it_waits_for_and_until_when(
    acme: Fleet, job: Job
) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}/"
    deliver()
    sent = client.get(path).content.decode()
    command = Command.objects.get()
    Command.objects.update(status="queued", sent_at=None)
    again = client.get(path).content.decode()

    assert "The canary is in progress: waiting for 1 device, an answer is due" in sent
    assert "waiting for 1 device, next retry <time" in again
    assert f'datetime="{command.due_at:%Y-%m-%dT%H:%M:%S}+00:00"' in again
    assert "1 job in progress, none waits" in client.get("/jobs/").content.decode()


def test_what_is_sent_stands_above_the_members(acme: Fleet, job: Job) -> None:
    text = acme.client().get(f"/jobs/{job.public_id}/").content.decode()

    assert text.index("What is sent") < text.index('id="members"')


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


def test_a_count_links_to_its_members(acme: Fleet, job: Job) -> None:
    answer = acme.client().get(f"/jobs/{job.public_id}/", {"show": "pending"})

    members = [row.device.uid for row in answer.context["members"]]
    [pending] = [r for r in answer.context["counts"] if r["label"] == "not sent"]
    assert len(members) == pending["count"] == 1
    assert "Members: not sent" in answer.content.decode()


def test_members_that_a_person_should_look_at_come_first(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        make_presence(acme.add(f"new-{number}"))
    start_job(job=(job := launch(acme, "*")), actor=None)
    advance_jobs_across_tenants(now=now())
    deliver()
    green, waits, unknown, failed = Command.objects.order_by("pk")[:4]
    for command, status in ((green, "verified"), (unknown, "unknown")):
        Command.objects.filter(pk=command.pk).update(status=status)
    Command.objects.filter(pk=waits.pk).update(needs_person=True)
    Command.objects.filter(pk=failed.pk).update(status="failed")
    first = [command.device.uid for command in (waits, unknown, failed)]
    monkeypatch.setattr(views, "MEMBERS_PER_PAGE", 2)
    client, path = acme.client(), f"/jobs/{job.public_id}/"

    shown: list[str] = []
    url = "?"
    while url:
        context = client.get(path + url.partition("#")[0]).context
        shown += [member.device.uid for member in context["members"]]
        url = context["next_url"]

    targets = JobTarget.objects.filter(job=job).order_by("pk")
    uids = list(targets.values_list("device__uid", flat=True))
    assert shown == first + [uid for uid in uids if uid not in first]


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


def test_resuming_needs_a_reason(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}"

    client.post(f"{path}/pause/", {"reason": "look first"})
    without = client.post(f"{path}/resume/", headers=HTMX)
    with_reason = client.post(f"{path}/resume/", {"reason": "all well"}, headers=HTMX)

    assert without.status_code == 422
    assert "Say why the job may continue." in without.content.decode()
    assert with_reason.status_code == 200
    job.refresh_from_db()
    assert job.status == "running"


def test_a_person_lets_the_job_go_on_without_the_silent(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}"
    deliver()
    assert "Go on without them …" in client.get(f"{path}/").content.decode()

    without = client.post(f"{path}/skip-waiting/", headers=HTMX)
    done = client.post(f"{path}/skip-waiting/", {"reason": "flooded"}, headers=HTMX)

    assert without.status_code == 422
    assert "goes on without 1 device that did not answer: flooded" in (
        done.content.decode()
    )
    assert "Go on without them …" not in done.content.decode()


def test_people_retry_the_devices_that_failed_in_one_way(acme: Fleet, job: Job) -> None:
    client = acme.client()
    path = f"/jobs/{job.public_id}"
    deliver()
    command = Command.objects.get()
    Unit(command.device).result(command, "failed")
    advance_jobs_across_tenants(now=now())
    failed = {"failure_class": "execution_failed"}
    assert "Retry these devices" in client.get(f"{path}/").content.decode()

    unknown = client.post(f"{path}/retry/", {"failure_class": "luck"})
    without = client.post(f"{path}/retry/", failed, headers=HTMX)
    done = client.post(f"{path}/retry/", failed | {"reason": "mended"}, headers=HTMX)

    assert (unknown.status_code, without.status_code) == (400, 422)
    assert "1 member that ended as execution_failed is retried: mended" in (
        done.content.decode()
    )
    job.refresh_from_db()
    assert job.status == "stopped"


def test_a_cancelled_job_cannot_be_paused(acme: Fleet, job: Job) -> None:
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


def test_the_list_shows_jobs_that_wait_for_a_person(acme: Fleet, job: Job) -> None:
    client = acme.client()
    client.post(f"/jobs/{job.public_id}/pause/")

    answer = client.get("/jobs/", {"show": "waiting"})

    text = answer.content.decode()
    assert "1 job waits for a person" in text
    assert "identify all" in text
    assert (
        "No jobs: finished" in client.get("/jobs/", {"show": "over"}).content.decode()
    )


def test_a_viewer_sees_no_action_buttons(acme: Fleet, job: Job) -> None:
    text: Any = acme.client(Role.VIEWER).get(f"/jobs/{job.public_id}/").content

    assert b"job-actions" not in text
