"""How many commands may be without an answer: of a job, a tenant, a device."""

from __future__ import annotations

import pytest

from commands.exceptions import TooManyPending
from commands.models import JobTarget
from commands.services import job_advance
from commands.services.jobs import start_job
from tests.commands.test_jobs import commands_of, fleet_of, make_job, tick
from tests.commands.units import ask, deliver

pytestmark = pytest.mark.django_db


def test_a_job_hands_out_only_while_few_members_are_unanswered() -> None:
    units = fleet_of(5)
    job = make_job(units, rollout={"max_in_flight": 2})
    start_job(job=job, actor=None)
    tick()
    tick()
    assert len(commands_of(job)) == 2

    deliver()
    first = commands_of(job)[0]
    next(u for u in units if u.device.pk == first.device_id).result(first)
    tick()

    assert len(commands_of(job)) == 3


def test_all_jobs_of_a_tenant_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_advance, "TENANT_IN_FLIGHT", 3)
    units = fleet_of(4)
    other = fleet_of(4)
    jobs = [make_job(units), make_job(units, request="r2"), make_job(other)]
    for job in jobs:
        start_job(job=job, actor=None)

    tick()
    tick()

    assert [len(commands_of(job)) for job in jobs] == [3, 0, 3]


def test_a_member_with_too_many_pending_commands_is_skipped() -> None:
    full, other = fleet_of(2, online=False)
    for _ in range(50):
        ask(full)
    job = make_job([full, other])
    start_job(job=job, actor=None)

    tick()

    skipped = JobTarget.objects.exclude(skip_reason="").get()
    assert (skipped.device, skipped.skip_reason) == (
        full.device,
        "has 50 pending commands",
    )
    with pytest.raises(TooManyPending):
        ask(full)
