"""The counts of a job are those of its members, whoever moves what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.choices import FailureClass
from commands.models import JobCount, JobTarget
from commands.selectors.job_tallies import tally_waves
from commands.services.actions import cancel_command
from commands.services.device_lifecycle import move_device
from commands.services.job_counts import (
    MOST_ROWS,
    add_up_counts_across_tenants,
    check_counts_across_tenants,
)
from commands.services.job_rerun import retry_failed
from commands.services.job_waiting import skip_waiting
from commands.services.jobs import cancel_job, resume_job, start_job
from tests.commands.test_device_replacement import spare_for
from tests.commands.test_jobs import (
    again,
    answer,
    commands_of,
    fleet_of,
    make_job,
    tick,
)
from tests.commands.units import claim, deliver, now, sweep

pytestmark = pytest.mark.django_db


def check() -> None:
    assert check_counts_across_tenants(now=now()) == 0


def test_every_move_of_a_command_or_member_is_counted() -> None:
    units = fleet_of(8)
    units += fleet_of(2, online=False, tenant=units[0].device.tenant)
    units += fleet_of(1, tenant=units[0].device.tenant, lifecycle="in_repair")
    job = make_job(units, rollout={"wave_size": 6, "failure_threshold": 0.9})
    check()
    start_job(job=job, actor=None)
    tick()
    check()
    claim()
    check()
    sweep(now() + timedelta(minutes=1))
    deliver(at=now() + timedelta(minutes=2))
    check()
    first, second, third, *_ = [c for c in commands_of(job) if c.status == "sent"]
    by_device = {unit.device.pk: unit for unit in units}
    by_device[first.device_id].result(first, "failed")
    by_device[second.device_id].acknowledge(second)
    check()
    cancel_command(command=third, actor=None, reason="")
    check()
    retry_failed(
        job=job, failure_class=FailureClass.EXECUTION_FAILED, actor=None, reason="x"
    )
    check()
    skip_waiting(job=job, actor=None, reason="silent")
    check()
    old = by_device[second.device_id].device
    move_device(
        device=old, to="replaced", replaced_by=spare_for(old), actor=None, reason="x"
    )
    check()
    tick()
    if again(job).status == "paused":
        resume_job(job=again(job), actor=None, reason="go on")
    tick()
    check()
    cancel_job(job=again(job), actor=None, reason="enough")
    check()
    JobTarget.objects.filter(job=job)[0].delete()
    check()


def test_the_differences_are_added_up_without_a_change() -> None:
    units = fleet_of(3)
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()
    some = JobCount.objects.filter(job=job)[0]
    fields: dict[str, Any] = {
        field.attname: getattr(some, field.attname)
        for field in JobCount._meta.concrete_fields
        if field.attname not in ("id", "members")
    }
    JobCount.objects.bulk_create(
        JobCount(**fields, members=sign) for _ in range(MOST_ROWS) for sign in (1, -1)
    )
    before = tally_waves(job.pk)

    assert add_up_counts_across_tenants(now=now(), limit=10) == 1

    assert tally_waves(job.pk) == before
    assert JobCount.objects.filter(job=job).count() == 1
    assert add_up_counts_across_tenants(now=now(), limit=10) == 0


def test_a_wrong_count_is_found_and_corrected() -> None:
    job = make_job(fleet_of(3))
    right = tally_waves(job.pk)
    JobCount.objects.filter(job=job).update(members=7)

    assert check_counts_across_tenants(now=now()) == 1

    assert tally_waves(job.pk) == right
    check()


def test_a_tally_reads_no_member(django_assert_num_queries: Any) -> None:
    units = fleet_of(4)
    job = make_job(units, rollout={"wave_size": 2})
    start_job(job=job, actor=None)
    tick()
    answer(units, job)

    with django_assert_num_queries(1) as asked:
        tallies = tally_waves(job.pk)

    assert (tallies[1].succeeded, tallies[2].pending) == (2, 2)
    assert "jobtarget" not in asked[0]["sql"]
