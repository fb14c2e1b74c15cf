"""A retry sends the members of one class and nothing else, before the deadline."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from commands.choices import FailureClass
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.models import Command, Job
from commands.services.actions import retry_command
from commands.services.job_rerun import retry_failed
from commands.services.jobs import cancel_job, pause_job, resume_job, start_job
from tests.commands.test_jobs import (
    again,
    answer,
    commands_of,
    fleet_of,
    make_job,
    tick,
)
from tests.commands.units import Unit, claim, deliver, fresh, now, sweep

pytestmark = pytest.mark.django_db

FAILED = FailureClass.EXECUTION_FAILED
HOUR = timedelta(hours=1)


def retry(job: Job, reason: str = "the relay is repaired") -> Job:
    return retry_failed(job=job, failure_class=FAILED, actor=None, reason=reason)


def stopped_by_its_canary(units: list[Unit], **rollout: object) -> Job:
    job = make_job(units, rollout={"canary": 1, "wave_size": 1, **rollout})
    start_job(job=job, actor=None)
    tick()
    answer(units, job, status="failed")
    tick()
    assert again(job).status == "stopped"
    return again(job)


def test_a_retry_of_a_stopped_job_sends_those_members_and_releases_no_wave() -> None:
    units = fleet_of(3)
    job = stopped_by_its_canary(units)
    with pytest.raises(InvalidCommand):
        retry(job, " ")

    retried = retry(job)
    answer(units, job)
    for _ in range(4):
        tick()

    assert (retried.status, again(job).status) == ("stopped", "stopped")
    statuses = [command.status for command in commands_of(job)]
    assert statuses == ["failed", "succeeded"]  # the old one, and its successor


def test_what_a_stopped_job_had_queued_is_not_sent_by_a_retry() -> None:
    units = fleet_of(3)
    job = make_job(units, rollout={"min_ended": 1})
    start_job(job=job, actor=None)
    tick()
    (first, *_) = claim()[:1]
    failed = fresh(first.command_id)
    Command.objects.filter(job=job).exclude(pk=failed.pk).update(
        claim_token=None, claimed_until=None, due_at=now()
    )
    next(u for u in units if u.device.pk == failed.device_id).result(failed, "failed")
    tick()
    assert again(job).status == "stopped"

    retry(job)
    sent = [fresh(link.command_id).device_id for link in deliver()]

    assert sent == [failed.device_id]
    resume_job(job=again(job), actor=None, reason="it works")
    assert len(deliver()) == 2


def test_a_paused_job_stays_paused_and_its_clocks_run_for_the_retried_alone() -> None:
    units = fleet_of(4)
    job = make_job(units, rollout={"failure_threshold": 0.9, "wave_size": 2})
    start_job(job=job, actor=None)
    tick()
    answer(units, job, status="failed")
    pause_job(job=job, actor=None, reason="a look")

    assert retry(job).status == "paused"

    assert len(deliver()) == 2
    sweep(now() + 30 * HOUR)
    open_now = Command.objects.filter(job=job, ended_at__isnull=True)
    assert not open_now.filter(status="sent").exists()


def test_a_cancelled_job_sends_nothing_that_was_retried_before() -> None:
    job = stopped_by_its_canary(fleet_of(2))
    retry(job)

    cancel_job(job=again(job), actor=None, reason="wrong file")

    assert claim() == []


def test_a_single_member_of_a_stopped_job_is_retried_alone() -> None:
    units = fleet_of(2)
    job = stopped_by_its_canary(units)

    successor = retry_command(command=commands_of(job)[0], actor=None, reason="")

    assert [link.command_id for link in deliver()] == [successor.public_id]


def test_a_retry_does_not_outlive_the_deadline() -> None:
    deadline = now() + timedelta(minutes=30)
    units = fleet_of(2)
    job = stopped_by_its_canary(units, deadline=deadline.isoformat())

    retry(job)

    assert commands_of(job)[-1].expires_at == deadline


def test_a_command_that_is_sent_again_does_not_outlive_the_deadline() -> None:
    deadline = now() + timedelta(minutes=30)
    (unit,) = fleet_of(1, online=False)
    policy = {"expires_in_seconds": 60}
    job = make_job(
        [unit],
        command={"name": "reboot", "params": {}, "policy": policy},
        rollout={"deadline": deadline.isoformat()},
    )
    start_job(job=job, actor=None)
    tick()
    (command,) = commands_of(job)
    sweep(now() + timedelta(minutes=2))
    assert fresh(command).status == "expired"
    Command.objects.filter(pk=command.pk).update(
        policy=command.policy | {"expires_in_seconds": 86_400}
    )

    retry_command(command=fresh(command), actor=None, reason="")

    held = fresh(command)
    assert (held.expires_at, held.due_at) == (deadline, deadline)


def test_after_the_deadline_nothing_is_retried() -> None:
    units = fleet_of(2)
    job = stopped_by_its_canary(units, deadline=(now() + HOUR).isoformat())
    past: datetime = now() - HOUR
    Job.objects.filter(pk=job.pk).update(deadline=past)

    with pytest.raises(TransitionRefused, match="deadline"):
        retry(again(job))
    with pytest.raises(TransitionRefused, match="deadline"):
        retry_command(command=commands_of(job)[0], actor=None, reason="")


def test_a_device_that_fails_late_gets_no_successor_after_the_deadline() -> None:
    units = fleet_of(1)
    policy = {"attempts": 3, "on_failure": {"execution_failed": "retry_later"}}
    deadline = now() + HOUR
    job = make_job(
        units,
        command={"name": "reboot", "params": {}, "policy": policy},
        rollout={"deadline": deadline.isoformat()},
    )
    start_job(job=job, actor=None)
    tick()
    answer(units, job, status="failed")

    sweep(deadline + 2 * HOUR)

    assert len(commands_of(job)) == 1


def test_members_that_fail_again_do_not_stop_a_job_that_was_within_its_limit() -> None:
    units = fleet_of(6)
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()
    deliver()
    by_device = {unit.device.pk: unit for unit in units}
    for place, command in enumerate(commands_of(job)):
        result = "failed" if place == 0 else "succeeded"
        by_device[command.device_id].result(command, result)
    tick()
    tick()
    assert again(job).status == "completed"

    assert retry(again(job)).status == "running"
    answer(units, job, status="failed")
    tick()

    assert again(job).status == "completed"
