"""A job shows how its members were before and after, beside other devices."""

from __future__ import annotations

from typing import Any

import pytest

from commands.models import Job
from commands.services.jobs import cancel_job, start_job
from state.models import Presence, Risk
from tests.commands.test_job_api import JOBS, client_of
from tests.commands.test_jobs import answer, fleet_of, make_job, tick
from tests.commands.units import Unit, now
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db


def before_after(job: Job) -> Any:
    return client_of(job.tenant).get(f"{JOBS}{job.public_id}/").json()["before_after"]


def score(unit: Unit, points: int) -> None:
    Risk.objects.update_or_create(
        device=unit.device,
        defaults={"tenant": unit.device.tenant, "score": points, "at": now()},
    )


def test_members_are_shown_beside_others_at_start_and_end() -> None:
    units = fleet_of(3)
    first = units[0].device
    same = {"tenant": first.tenant, "site": first.site, "product": first.product}
    other = Unit(DeviceFactory.create(**same))
    other.come_online()
    fleet_of(1)  # of another tenant
    job = make_job(units)
    assert before_after(job) is None
    start_job(job=job, actor=None)
    score(units[0], 30)
    tick()
    running = before_after(job)
    score(units[1], 60)
    answer(units, job)
    Presence.objects.filter(device=units[2].device).update(connectivity="offline")
    tick()
    tick()

    ended = before_after(job)

    assert running["end"] is None
    assert ended["start"] == {
        "members": {"devices": 3, "connectivity": {"online": 3}, "risk": 10},
        "others": {"devices": 1, "connectivity": {"online": 1}, "risk": 0},
    }
    assert ended["end"]["members"] == {
        "devices": 3,
        "connectivity": {"offline": 1, "online": 2},
        "risk": 30,
    }
    assert ended["end"]["others"] == ended["start"]["others"]


def test_a_job_that_never_ran_shows_nothing() -> None:
    job = make_job(fleet_of(2))

    cancel_job(job=job, actor=None, reason="a mistake")

    assert before_after(job) is None
