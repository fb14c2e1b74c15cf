"""What a bad rollout does at most, and that its rollback restores each member."""

from __future__ import annotations

import json
import random
from datetime import timedelta

import pytest

from commands.models import Command, JobTarget
from commands.services.job_rollback import roll_back_job
from commands.services.jobs import start_job
from tests.commands.test_job_rollback import PATCH, configured, desired_of_all
from tests.commands.test_jobs import again, commands_of, fleet_of, make_job, tick
from tests.commands.units import claim, deliver, fresh, now, sweep

pytestmark = pytest.mark.django_db

IN_FLIGHT = 20


def test_a_first_wave_of_which_30_percent_fail_is_stopped_within_its_room(
    is_long: bool,
) -> None:
    members, wave = (5_000, 100) if is_long else (120, 60)
    chance = random.Random(30)
    units = {unit.device.pk: unit for unit in fleet_of(members, online=False)}
    rollout = {"canary": wave, "max_in_flight": IN_FLIGHT, "min_ended": 10}
    job = make_job(list(units.values()), rollout=rollout)
    for target in JobTarget.objects.filter(job=job, wave=0):
        units[target.device_id].come_online()
    start_job(job=job, actor=None)
    ended = failed = over_at = 0

    while not over_at:
        tick()
        for link in deliver():
            command, fails = fresh(link.command_id), chance.random() < 0.3
            result = "failed" if fails else "succeeded"
            units[command.device_id].result(command, result)
            ended, failed = ended + 1, failed + fails
            if ended >= 10 and failed > 0.2 * ended:
                over_at = over_at or ended
        assert ended < wave
    for _ in range(3):
        tick()

    assert again(job).status == "stopped"
    assert len(commands_of(job)) <= over_at + IN_FLIGHT
    assert claim() == []


def test_canaries_of_three_former_versions_end_as_they_were_or_as_a_work_item(
    is_long: bool,
) -> None:
    units = fleet_of(500 if is_long else 15)
    configured(units)
    before = {pk: json.dumps(document) for pk, document in desired_of_all().items()}
    assert len(set(before.values())) == 3
    job = make_job(units, command={"name": "set_config", "params": PATCH})
    start_job(job=job, actor=None)
    handed_out(units_count=len(units), job_id=job.pk)

    rollback = roll_back_job(job=job, actor=None)
    handed_out(units_count=len(units), job_id=rollback.pk)
    wanted, deaf = desired_of_all(), {unit.device.pk for unit in units[::5]}
    for unit in units:
        command = Command.objects.get(job=rollback, device=unit.device)
        if unit.device.pk in deaf:
            unit.result(command, "failed", code="flash")
        else:
            unit.report(2, wanted[unit.device.pk])
    at = now()
    for hours in range(1, 4):
        sweep(at + timedelta(hours=hours))
        tick()

    assert {pk: json.dumps(d) for pk, d in desired_of_all().items()} == before
    made = Command.objects.filter(job=rollback)
    for command in made:
        ended = "failed" if command.device_id in deaf else "verified"
        assert command.status == ended, command.device_id
    assert {c.device_id for c in made if c.needs_person} == deaf


def handed_out(*, units_count: int, job_id: int) -> None:
    """Let a job hand out to all of its members, and deliver that."""
    while True:
        tick()
        deliver()
        if Command.objects.filter(job=job_id).count() == units_count:
            break
    while deliver():
        pass
