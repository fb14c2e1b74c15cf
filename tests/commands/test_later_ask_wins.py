"""Of two changes of one key the later ask wins, in whatever order they are sent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from commands.models import Command, Job, JobTarget
from commands.selectors.commands import list_events
from commands.services.device_lifecycle import move_device
from commands.services.jobs import start_job
from state.models import Twin
from tests.commands.test_device_replacement import spare_for
from tests.commands.test_jobs import again, make_job, tick
from tests.commands.units import Unit, ask, claim, fresh, now, online_unit

pytestmark = pytest.mark.django_db


def started_job(unit: Unit, params: dict[str, Any]) -> Job:
    command = {"name": "set_config", "params": params}
    job = make_job([unit], command=command)
    return start_job(job=job, actor=None)


def desired(unit: Unit) -> dict[str, Any]:
    found: dict[str, Any] = Twin.objects.get(device=unit.device).desired
    return found


def test_a_job_skips_a_member_whose_key_a_person_changed_after_its_start() -> None:
    unit = online_unit()
    job = started_job(unit, {"interval": 60})
    person = ask(unit, "set_config", {"interval": 5})

    for _ in range(3):
        tick()

    assert desired(unit) == {"interval": 5}
    member = JobTarget.objects.get(job=job)
    assert (member.command, member.skip_reason) == (
        None,
        "changed later: interval by platform",
    )
    assert fresh(person).status == "queued"
    assert again(job).status == "completed"


def test_a_job_sends_the_keys_that_nobody_changed_later_and_says_so() -> None:
    unit = online_unit()
    job = started_job(unit, {"interval": 60, "net": {"apn": "a", "dns": "b"}})
    person = ask(unit, "set_config", {"net": {"apn": "z"}})

    tick()

    assert desired(unit) == {"interval": 60, "net": {"apn": "z", "dns": "b"}}
    command = Command.objects.get(job=job)
    assert command.params == {"interval": 60, "net": {"dns": "b"}}
    assert command.expectation == command.params
    assert "left out, changed later: net.apn" in list_events(command)[0].cause
    assert fresh(person).status == "queued"  # nothing newer was asked for
    bodies = [json.loads(link.payload)["desired"] for link in claim()]
    assert bodies == [desired(unit)] * 2


def test_a_removal_by_a_person_is_a_later_ask_too() -> None:
    unit = online_unit()
    ask(unit, "set_config", {"interval": 5})
    job = started_job(unit, {"interval": 60})
    ask(unit, "set_config", {"interval": None})

    tick()

    assert desired(unit) == {}
    assert JobTarget.objects.get(job=job).skip_reason


def test_a_job_that_is_started_after_a_persons_change_wins() -> None:
    unit = online_unit()
    command = {"name": "set_config", "params": {"interval": 60}}
    job = make_job([unit], command=command)
    person = ask(unit, "set_config", {"interval": 5})
    start_job(job=job, actor=None)

    tick()

    assert desired(unit) == {"interval": 60}
    assert fresh(person).status == "superseded"
    asks = Twin.objects.get(device=unit.device).desired_asks
    assert {path: (one["by"], one["who"]) for path, one in asks.items()} == {
        "/interval": ("job", job.name)
    }


def test_of_two_jobs_the_one_that_was_started_later_wins() -> None:
    unit = online_unit()
    earlier = started_job(unit, {"interval": 60})
    later = started_job(unit, {"interval": 5})
    Job.objects.filter(pk=earlier.pk).update(status="paused")
    tick()
    Job.objects.filter(pk=earlier.pk).update(status="running")

    tick(now() + timedelta(minutes=1))

    assert desired(unit) == {"interval": 5}
    assert Command.objects.get(job=later).status == "queued"
    assert JobTarget.objects.get(job=earlier).skip_reason


def test_a_replacement_is_an_ask_of_its_own() -> None:
    unit = online_unit()
    ask(unit, "set_config", {"interval": 5})
    spare = spare_for(unit.device)
    move_device(device=unit.device, to="replaced", replaced_by=spare)

    asks = Twin.objects.get(device=spare).desired_asks

    assert asks["/interval"]["by"] == "person"
