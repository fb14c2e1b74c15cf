"""A job's members are under maintenance only while the job works on them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.services.jobs import start_job
from commands.services.outcome_reports import report_outcomes_across_tenants
from state.models import Alarm, HeldAlarm, MaintenancePlace, MaintenanceWindow
from state.selectors.maintenance import windows_in_force
from state.services.alarms.held_back import raise_held_back_across_tenants
from tests.commands.test_jobs import commands_of, fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, now

pytestmark = pytest.mark.django_db


def complain(unit: Unit) -> None:
    unit.say("event", {"code": "hot", "severity": "critical", "state": "raised"})


def maintenance_of(unit: Unit) -> list[str]:
    return [w.reason for w in windows_in_force(unit.device, now=now())]


def test_a_member_is_under_maintenance_from_its_command_until_that_ends() -> None:
    units = fleet_of(2)
    job = make_job(units, rollout={"wave_size": 1})
    start_job(job=job, actor=None)

    tick()
    (command,) = commands_of(job)
    first, second = sorted(units, key=lambda u: u.device.pk != command.device_id)
    before = maintenance_of(first)
    deliver()
    complain(first)
    complain(second)

    assert before == []
    assert maintenance_of(first) == ["job Night reboot"]
    assert maintenance_of(second) == []
    assert Alarm.objects.get().device == second.device
    assert HeldAlarm.objects.get().device == first.device

    first.result(command)
    report_outcomes_across_tenants(now=now())

    assert maintenance_of(first) == []
    raise_held_back_across_tenants(now=now())
    assert Alarm.objects.filter(device=first.device).exists()


def test_all_members_of_a_job_share_one_window_without_a_query_for_each() -> None:
    units = fleet_of(5)
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()

    deliver()

    assert MaintenanceWindow.objects.get().origin == f"job:{job.public_id}"
    assert MaintenancePlace.objects.count() == 5


def test_an_offline_member_waits_without_maintenance() -> None:
    (unit,) = units = fleet_of(1, online=False)
    start_job(job=make_job(units), actor=None)

    tick()
    deliver()

    assert maintenance_of(unit) == []


def test_maintenance_of_a_silent_member_ends_with_its_policys_timeouts() -> None:
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


def test_a_single_command_starts_no_maintenance() -> None:
    (unit,) = fleet_of(1)
    ask(unit)

    deliver()

    assert maintenance_of(unit) == []
