"""A job's members are under maintenance while it acts on them, and no longer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.services.jobs import start_job
from commands.services.outcome_reports import tell_outcomes_across_tenants
from state.models import Alarm, HeldAlarm, MaintenancePlace, MaintenanceWindow
from state.selectors.maintenance import windows_in_force
from state.services.alarms.held_back import raise_held_across_tenants
from tests.commands.field import Unit, ask, deliver, now
from tests.commands.test_jobs import commands_of, fleet_of, make_job, tick

pytestmark = pytest.mark.django_db


def complain(unit: Unit) -> None:
    unit.say("event", {"code": "hot", "severity": "critical", "state": "raised"})


def works_at(unit: Unit) -> list[str]:
    return [w.reason for w in windows_in_force(unit.device, now=now())]


def test_a_member_is_under_maintenance_from_its_command_until_that_ends() -> None:
    units = fleet_of(2)
    job = make_job(units, rollout={"wave_size": 1})
    start_job(job=job, actor=None)

    tick()
    (command,) = commands_of(job)
    first, second = sorted(units, key=lambda u: u.device.pk != command.device_id)
    before = works_at(first)
    deliver()
    complain(first)
    complain(second)

    assert before == []
    assert works_at(first) == ["job Night reboot"]
    assert works_at(second) == []
    assert Alarm.objects.get().device == second.device
    assert HeldAlarm.objects.get().device == first.device

    first.result(command)
    tell_outcomes_across_tenants(now=now())

    assert works_at(first) == []
    raise_held_across_tenants(now=now())
    assert Alarm.objects.filter(device=first.device).exists()


def test_all_members_of_a_job_share_one_window_without_a_query_for_each() -> None:
    units = fleet_of(5)
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()

    deliver()

    assert MaintenanceWindow.objects.get().origin == f"job:{job.public_id}"
    assert MaintenancePlace.objects.count() == 5


def test_a_member_that_is_away_waits_without_maintenance() -> None:
    (unit,) = units = fleet_of(1, online=False)
    start_job(job=make_job(units), actor=None)

    tick()
    deliver()

    assert works_at(unit) == []


def test_a_member_that_never_answers_is_left_in_peace_only_as_long_as_its_policy() -> (
    None
):
    (unit,) = units = fleet_of(1)
    policy = {
        "receive_timeout_seconds": 30,
        "execute_timeout_seconds": 60,
        "verify_timeout_seconds": 30,
    }
    command = {"name": "reboot", "params": {}, "policy": policy}
    start_job(job=make_job(units, command=command), actor=None)
    tick()

    deliver()

    place = MaintenancePlace.objects.get(device=unit.device)
    assert place.until - place.from_at == timedelta(seconds=120)


def test_a_single_command_of_a_person_silences_nothing() -> None:
    (unit,) = fleet_of(1)
    ask(unit)

    deliver()

    assert works_at(unit) == []
