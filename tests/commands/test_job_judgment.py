"""A job goes on only on evidence, and all of its results are judged."""

from __future__ import annotations

import pytest

from commands.models import Command, Job
from commands.services.actions import cancel_command
from commands.services.jobs import resume_job, start_job
from registry.models import Device
from tests.commands.test_jobs import (
    again,
    answer,
    commands_of,
    fleet_of,
    make_job,
    tick,
)
from tests.commands.units import Unit

pytestmark = pytest.mark.django_db

ONE_BY_ONE = {"canary": 1, "wave_size": 1}


def started(units: list[Unit], **rollout: object) -> Job:
    job = make_job(units, rollout=rollout)
    start_job(job=job, actor=None)
    return job


def ticks(count: int = 4) -> None:
    for _ in range(count):
        tick()


def test_an_offline_canary_pauses_the_job() -> None:
    job = started(fleet_of(3, online=False), **ONE_BY_ONE)

    ticks()

    paused = again(job)
    assert paused.status == "paused"
    assert "the canary gave no result (1 offline)" in paused.stop_reason
    assert len(commands_of(job)) == 1


def test_a_cancelled_canary_pauses_the_job() -> None:
    job = started(fleet_of(3), **ONE_BY_ONE)
    tick()
    cancel_command(command=commands_of(job)[0], actor=None, reason="")

    ticks()

    assert "the canary gave no result" in again(job).stop_reason
    assert len(commands_of(job)) == 1


def test_a_canary_that_was_retired_pauses_the_job() -> None:
    units = fleet_of(3)
    job = started(units, **ONE_BY_ONE)
    Device.objects.filter(pk__in=[unit.device.pk for unit in units]).update(
        lifecycle="retired"
    )

    ticks()

    assert "the canary gave no result (1 left out)" in again(job).stop_reason
    assert not Command.objects.filter(job=job).exists()


def test_a_person_lets_a_job_go_on_without_a_result_one_wave_at_a_time() -> None:
    job = started(fleet_of(3, online=False), **ONE_BY_ONE)
    ticks()

    resume_job(job=job, actor=None, reason="the site has no power tonight")
    ticks()

    paused = again(job)
    assert paused.status == "paused"
    assert "wave 1 gave no result" in paused.stop_reason
    assert len(commands_of(job)) == 2


def test_a_person_who_resumes_a_job_does_not_accept_a_wave_that_goes_on() -> None:
    units = fleet_of(3)
    job = started(units, **ONE_BY_ONE)
    tick()
    Job.objects.filter(pk=job.pk).update(status="paused")
    resume_job(job=again(job), actor=None, reason="a look")
    cancel_command(command=commands_of(job)[0], actor=None, reason="")

    ticks()

    assert "the canary gave no result" in again(job).stop_reason


def test_the_last_wave_waits_for_its_offline_members() -> None:
    units = fleet_of(2, online=False)
    job = started(units)
    ticks()
    assert again(job).status == "running"

    for unit in units:
        unit.come_online()
    answer(units, job)
    tick()

    assert again(job).status == "completed"


def test_members_that_were_offline_and_fail_later_stop_the_job() -> None:
    present = fleet_of(4)
    absent = fleet_of(8, online=False, tenant=present[0].device.tenant)
    job = started([*present, *absent])
    tick()
    answer(present, job)
    ticks()
    assert again(job).status == "running"

    for unit in absent:
        unit.come_online()
    answer(absent, job, status="failed")
    tick()

    stopped = again(job)
    assert stopped.status == "stopped"
    assert stopped.stop_reason == (
        "The whole job: 8 of 12 finished devices failed (67%), above the failure"
        " threshold of 20%."
    )
    resume_job(job=stopped, actor=None, reason="they are scrap")
    tick()
    assert again(job).status == "completed"
