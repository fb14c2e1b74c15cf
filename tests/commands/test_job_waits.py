"""A job says what it waits for, and a person lets it go on without the silent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.exceptions import InvalidCommand, TransitionRefused
from commands.models import Command, Job, JobEvent
from commands.services.job_waiting import skip_waiting
from commands.services.jobs import start_job
from tests.commands.test_job_api import JOBS, client_of
from tests.commands.test_jobs import (
    again,
    answer,
    commands_of,
    fleet_of,
    make_job,
    tick,
)
from tests.commands.units import Unit, deliver

pytestmark = pytest.mark.django_db


def waits_for(job: Job) -> str | None:
    body: dict[str, Any] = client_of(job.tenant).get(f"{JOBS}{job.public_id}/").json()
    words: str | None = body["waits_for"]
    return words


def with_one_silent(**rollout: object) -> tuple[Job, list[Unit], Command]:
    """Return a job whose first wave of three lacks one answer."""
    units = fleet_of(5)
    job = make_job(units, rollout={"wave_size": 3, **rollout})
    start_job(job=job, actor=None)
    tick()
    silent = commands_of(job)[0]
    answer_all_but(silent, units)
    tick()
    return job, units, silent


def answer_all_but(silent: Command, units: list[Unit]) -> None:
    deliver()
    by_device = {unit.device.pk: unit for unit in units}
    sent = Command.objects.filter(job=silent.job, status="sent")
    for command in sent.exclude(pk=silent.pk):
        by_device[command.device_id].result(command)


def test_a_job_names_the_wave_whose_answers_it_waits_for_and_until_when() -> None:
    job, _, silent = with_one_silent()

    words = waits_for(job)

    assert words is not None
    assert words.startswith("waiting for 1 device of wave 1, until ")
    assert words.endswith(" UTC")
    silent.refresh_from_db()
    assert f"{silent.expires_at:%H:%M:%S}" in words


def test_a_job_says_that_it_waits_for_a_person_or_for_its_start() -> None:
    units = fleet_of(1)
    job = make_job(units)
    assert waits_for(job) == "waiting for a person to start it"
    start_at = (job.created_at + timedelta(days=2)).isoformat()
    later = make_job(units, rollout={"start_at": start_at}, request="r2")
    assert str(waits_for(later)).startswith("waiting for its start, 20")


def test_a_job_watches_a_wave_and_then_waits_for_offline_devices() -> None:
    present = fleet_of(1)
    absent = fleet_of(1, online=False, tenant=present[0].device.tenant)
    job = make_job([*present, *absent])
    start_job(job=job, actor=None)
    tick()
    answer(present, job)
    tick()
    tick()

    assert str(waits_for(job)).startswith("waiting for 1 offline device, until ")
    absent[0].come_online()
    answer(absent, job)
    tick()
    assert waits_for(job) is None


def test_between_two_waves_a_job_says_until_when_it_watches() -> None:
    units = fleet_of(2)
    job = make_job(units, rollout={"canary": 1, "soak_seconds": 600})
    start_job(job=job, actor=None)
    tick()
    answer(units, job)
    tick()

    words = str(waits_for(job))

    assert words.startswith("watching the canary before the next wave, until ")


def test_a_person_lets_the_job_go_on_without_the_silent_member() -> None:
    job, units, silent = with_one_silent()
    tick()
    assert len(commands_of(job)) == 3

    with pytest.raises(InvalidCommand):
        skip_waiting(job=job, actor=None, reason=" ")
    skip_waiting(job=job, actor=None, reason="its cabinet is flooded")
    for _ in range(3):
        tick()

    assert len(commands_of(job)) == 5
    event = JobEvent.objects.filter(job=job).latest("pk")
    assert event.cause == (
        "goes on without 1 device that did not answer: its cabinet is flooded"
    )
    answer_all_but(silent, units)
    with pytest.raises(TransitionRefused, match="no answer"):
        skip_waiting(job=job, actor=None, reason="again")


def test_who_is_passed_over_makes_room_and_still_counts_for_the_whole_job() -> None:
    units = fleet_of(4)
    rollout = {"max_in_flight": 2, "min_ended": 2, "failure_threshold": 0.4}
    job = make_job(units, rollout=rollout)
    start_job(job=job, actor=None)
    tick()
    deliver()
    assert str(waits_for(job)).startswith("waiting for 2 devices of wave 1")

    skip_waiting(job=job, actor=None, reason="no signal there")
    tick()
    assert len(commands_of(job)) == 4

    by_device = {unit.device.pk: unit for unit in units}
    for command in commands_of(job)[:2]:
        by_device[command.device_id].result(command, "failed")
    tick()
    assert again(job).status == "stopped"


def test_only_a_running_job_skips_and_rest_asks_for_a_reason() -> None:
    job, _, _ = with_one_silent()
    api = client_of(job.tenant)
    path = f"{JOBS}{job.public_id}/"

    without = api.post(f"{path}skip-waiting/", {}, format="json")
    done = api.post(f"{path}skip-waiting/", {"reason": "flooded"}, format="json")
    api.post(f"{path}pause/", {"reason": "a look"}, format="json")
    paused = api.post(f"{path}skip-waiting/", {"reason": "flooded"}, format="json")

    assert [row["field"] for row in without.json()["errors"]] == ["reason"]
    assert (done.status_code, paused.status_code) == (200, 409)
