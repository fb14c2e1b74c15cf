"""A command waits for a device that sleeps, and no clock of it runs meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from commands.exceptions import CommandRefused
from commands.models import Attempt, Command
from commands.services.jobs import start_job
from commands.services.sweeps import release_waiting_across_tenants
from tests.commands.test_jobs import commands_of, make_job, tick
from tests.commands.units import (
    Unit,
    ask,
    claim,
    deliver,
    fresh,
    now,
    online_unit,
    sweep,
)

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
INTERVAL = timedelta(seconds=60)


def fall_asleep(unit: Unit, *, at: datetime, until: datetime) -> None:
    body = {
        "status": "sleeping",
        "until": int(until.timestamp() * 1_000),
        "heartbeat_seconds": int(INTERVAL.total_seconds()),
    }
    unit.say("status", body, at=at)


def soon() -> datetime:
    """Return a start that is after everything that was asked for until then."""
    return now() + timedelta(seconds=1)


def sweep_until(at: datetime, end: datetime) -> None:
    while at < end:
        sweep(at)
        at += 10 * MINUTE


def waits(command: Command) -> bool:
    command = fresh(command)
    return (command.status, command.waits_for) == ("held", "device")


def test_a_command_that_a_sleeper_does_not_answer_waits_until_it_wakes() -> None:
    unit, start = online_unit(), soon()
    command = ask(unit, expires_in_seconds=600)
    deliver(at=start)
    fall_asleep(unit, at=start + MINUTE, until=start + 6 * HOUR)

    sweep_until(start + 2 * MINUTE, start + 6 * HOUR)

    assert waits(command)
    assert Attempt.objects.filter(command=command).count() == 1
    release_waiting_across_tenants(now=start + 6 * HOUR)
    assert waits(command)
    unit.say("heartbeat", {}, at=start + 6 * HOUR)
    assert fresh(command).status == "queued"
    left = fresh(command).expires_at - (start + 6 * HOUR)
    assert timedelta(seconds=530) < left < timedelta(seconds=545)
    deliver(at=start + 6 * HOUR + MINUTE)
    unit.result(command, at=start + 6 * HOUR + 2 * MINUTE)
    assert fresh(command).status == "succeeded"


def test_a_command_asked_for_during_a_sleep_keeps_its_whole_time() -> None:
    unit, start = online_unit(), soon()
    fall_asleep(unit, at=start, until=start + 6 * HOUR)
    command = ask(unit, expires_in_seconds=300)
    assert waits(command)
    assert claim(at=start) == []

    unit.say("telemetry", {"metrics": {"t": 1}}, at=start + 2 * HOUR)

    command = fresh(command)
    assert command.status == "queued"
    assert command.expires_at - (start + 2 * HOUR) >= timedelta(seconds=298)


def test_the_clock_goes_on_two_intervals_after_a_sleep_that_did_not_end() -> None:
    unit, start = online_unit(), soon()
    fall_asleep(unit, at=start, until=start + HOUR)
    command = ask(unit, expires_in_seconds=300)
    wakes_at = start + HOUR + 2 * INTERVAL

    sweep_until(start, wakes_at + MINUTE)
    sweep(wakes_at + MINUTE)
    assert waits(command)
    sweep(wakes_at + 10 * MINUTE)

    assert fresh(command).status == "expired"


def test_a_sleep_that_is_prolonged_is_waited_for_too() -> None:
    unit, start = online_unit(), soon()
    fall_asleep(unit, at=start, until=start + HOUR)
    command = ask(unit, expires_in_seconds=300)
    fall_asleep(unit, at=start + HOUR, until=start + 3 * HOUR)

    sweep_until(start, start + 3 * HOUR)

    assert waits(command)


def test_a_device_that_sleeps_while_it_executes_is_not_timed_out() -> None:
    unit, start = online_unit(), soon()
    command = ask(unit, execute_timeout_seconds=120)
    deliver(at=start)
    unit.acknowledge(command, at=start)
    fall_asleep(unit, at=start + MINUTE, until=start + HOUR)

    sweep_until(start + 3 * MINUTE, start + HOUR)
    assert fresh(command).status == "received"
    sweep(start + HOUR + 2 * INTERVAL + MINUTE)

    assert fresh(command).status == "unknown"


def test_a_deferral_that_ends_during_a_sleep_waits_for_the_device() -> None:
    unit, start = online_unit(), soon()
    command = ask(unit)
    deliver(at=start)
    until = int((start + 10 * MINUTE).timestamp() * 1_000)
    unit.acknowledge(command, "deferred", until=until, at=start)
    fall_asleep(unit, at=start + MINUTE, until=start + HOUR)

    sweep_until(start, start + HOUR)

    assert waits(command)
    unit.say("heartbeat", {}, at=start + HOUR)
    assert fresh(command).status == "queued"


def test_a_command_that_no_poll_fetched_does_not_expire_during_a_sleep() -> None:
    unit, start = online_unit(adapter="http"), soon()
    command = ask(unit, expires_in_seconds=300)
    fall_asleep(unit, at=start + MINUTE, until=start + HOUR)

    sweep_until(start, start + HOUR)

    assert waits(command)


def test_a_real_time_command_is_refused_and_its_clock_never_stops() -> None:
    unit, start = online_unit(), soon()
    command = ask(unit, "identify")
    deliver(at=start)
    fall_asleep(unit, at=start, until=start + HOUR)

    with pytest.raises(CommandRefused, match="sleeping"):
        ask(unit, "identify")
    for seconds in (20, 40, 70):
        sweep(start + timedelta(seconds=seconds))

    assert fresh(command).ended_at is not None


def test_a_sleepers_configuration_is_retained_and_then_waits() -> None:
    unit, start = online_unit(), soon()
    fall_asleep(unit, at=start, until=start + HOUR)
    command = ask(unit, "set_config", {"interval": 5})

    (link,) = deliver(at=start)

    assert link.retain
    assert waits(command)
    unit.report(1, {"interval": 5}, at=start + HOUR)
    assert fresh(command).status == "verified"


def test_a_jobs_member_that_sleeps_trails_until_the_deadline() -> None:
    unit, start = online_unit(), soon()
    deadline = start + 2 * HOUR
    rollout = {"offline": "skip", "deadline": deadline.isoformat()}
    job = make_job([unit], rollout=rollout)
    fall_asleep(unit, at=start, until=start + 6 * HOUR)
    start_job(job=job, actor=None)
    tick(start)
    (command,) = commands_of(job)
    assert waits(command)

    sweep_until(start, deadline)
    tick(deadline)
    sweep(deadline)

    assert fresh(command).status == "expired"
