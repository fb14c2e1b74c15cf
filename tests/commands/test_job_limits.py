"""How many commands may be without an answer: of a job, a tenant, a device."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from commands.choices import FailureClass
from commands.exceptions import TooManyPending
from commands.models import JobTarget
from commands.selectors.due import devices_with_due
from commands.services import job_handout
from commands.services.claim_queues import LOOK_AGAIN
from commands.services.dispatch import claim_due, mark_sent
from commands.services.job_rerun import retry_failed
from commands.services.jobs import start_job
from tests.commands.test_jobs import (
    again,
    answer,
    commands_of,
    fleet_of,
    make_job,
    tick,
)
from tests.commands.units import Unit, ask, deliver, fresh, now

pytestmark = pytest.mark.django_db

FAILED = FailureClass.EXECUTION_FAILED


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


@pytest.mark.parametrize("status", ["stopped", "completed"])
def test_retried_members_wait_for_room_as_others_do(status: str) -> None:
    units = fleet_of(5)
    by_device = {unit.device.pk: unit for unit in units}
    accepted = {"failure_threshold": 1, "success_threshold": 0}
    stops = {"min_ended": 5} if status == "stopped" else accepted
    job = make_job(units, rollout={"max_in_flight": 2, **stops})
    start_job(job=job, actor=None)
    for _ in range(5):
        tick()
        answer(units, job, status="failed")
    tick()
    assert again(job).status == status

    retry_failed(job=job, failure_class=FAILED, actor=None, reason="repaired")

    assert (len(deliver()), len(deliver())) == (2, 0)
    first = next(c for c in commands_of(job) if c.status == "sent")
    by_device[first.device_id].result(first)
    sent = deliver()
    assert len(sent) == 1
    tick()
    assert deliver() == []


def test_a_poll_gets_no_retried_command_that_has_no_room() -> None:
    units = fleet_of(3, adapter="http")
    job = make_job(units, rollout={"max_in_flight": 1})
    start_job(job=job, actor=None)
    at = now()

    def poll(unit: Unit) -> list[UUID]:
        links = claim_due(
            adapter="http",
            limit=5,
            lease_seconds=30,
            now=at,
            device_ids=[unit.device.pk],
        )
        mark_sent([(link.command_id, link.token) for link in links], at)
        return [link.command_id for link in links]

    for _ in range(3):
        tick(at)
        for unit in units:
            for public_id in poll(unit):
                unit.result(fresh(public_id), "failed", at=at)
    tick(at)
    retry_failed(job=job, failure_class=FAILED, actor=None, reason="repaired")
    at = now() + timedelta(seconds=1)

    first, second = poll(units[0]), poll(units[1])
    waiting = devices_with_due([units[1].device.pk], adapter="http", now=at)
    units[0].result(fresh(first[0]), at=at)
    at += LOOK_AGAIN

    assert (len(first), second, waiting) == (1, [], set())
    assert len(poll(units[1])) == 1


def test_all_jobs_of_a_tenant_share_one_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_handout, "TENANT_IN_FLIGHT", 3)
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
