"""No clock of a command runs while its job is paused; nothing outlives the deadline."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from commands.models import Job
from commands.services.jobs import move_job, start_job
from tests.commands.test_jobs import again, commands_of, fleet_of, make_job, tick
from tests.commands.units import deliver, fresh, now, sweep

pytestmark = pytest.mark.django_db
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


def move(job: Job, to: str, at: datetime) -> None:
    move_job(again(job), to, at=at, actor="ann", cause="")  # type: ignore[arg-type]


def running_job(count: int, **changes: object) -> tuple[Job, datetime]:
    """Return a job whose commands are queued, and a moment after that."""
    command = {
        "name": "reboot",
        "params": {},
        "policy": {"expires_in_seconds": 300, "receive_timeout_seconds": 60},
    }
    job = make_job(fleet_of(count), command=command, **changes)
    start_job(job=job, actor=None)
    tick()
    return job, now() + SECOND


def test_a_queued_command_does_not_expire_during_a_pause() -> None:
    job, start = running_job(1)
    move(job, "paused", start)
    sweep(start + 2 * HOUR)
    (command,) = commands_of(job)
    assert command.status == "queued"

    move(job, "running", start + 3 * HOUR)
    sweep(start + 3 * HOUR)
    tick(start + 3 * HOUR)

    left = fresh(command).expires_at - (start + 3 * HOUR)
    assert timedelta(seconds=295) < left <= timedelta(seconds=300)
    assert len(deliver(at=start + 3 * HOUR)) == 1


def test_an_unanswered_command_is_not_timed_out_during_a_pause() -> None:
    job, start = running_job(1)
    deliver(at=start)
    move(job, "paused", start + 30 * SECOND)
    sweep(start + 2 * HOUR)
    (command,) = commands_of(job)
    assert command.status == "sent"

    move(job, "running", start + 2 * HOUR)
    tick(start + 2 * HOUR)

    sweep(start + 2 * HOUR + 20 * SECOND)
    assert fresh(command).status == "sent"
    sweep(start + 2 * HOUR + 40 * SECOND)
    assert fresh(command).status == "queued"  # the next attempt


def test_a_stopped_or_cancelled_job_lets_its_clocks_run() -> None:
    job, start = running_job(1)
    move(job, "paused", start)
    move(job, "stopped", start + HOUR)

    sweep(start + HOUR)

    assert commands_of(job)[0].status == "expired"


def test_a_pause_does_not_outlive_the_deadline() -> None:
    deadline = now() + HOUR
    job, start = running_job(1, rollout={"deadline": deadline.isoformat()})
    move(job, "paused", start)
    sweep(deadline - SECOND)
    assert commands_of(job)[0].status == "queued"

    sweep(deadline + SECOND)

    assert commands_of(job)[0].status == "expired"
