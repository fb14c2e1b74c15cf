"""A job is released in waves, stops at its thresholds, and obeys people."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from commands.exceptions import (
    IdempotencyKeyReused,
    InvalidCommand,
    InvalidRollout,
    TransitionRefused,
)
from commands.models import Command, Job, JobEvent, JobTarget
from commands.selectors.jobs import counts_of
from commands.services.job_advance import advance_jobs_across_tenants
from commands.services.jobs import (
    FrozenTarget,
    cancel_job,
    create_job,
    find_earlier_job,
    pause_job,
    resume_job,
    start_job,
)
from registry.models import Tenant
from tests.commands.units import Unit, claim, deliver, fresh, now, sweep
from tests.factories import DeviceFactory, ProductFactory, SiteFactory, TenantFactory

pytestmark = pytest.mark.django_db


def fleet_of(count: int, *, online: bool = True, **fields: Any) -> list[Unit]:
    tenant = fields.pop("tenant", None) or TenantFactory.create()
    site, product = (
        SiteFactory.create(tenant=tenant),
        ProductFactory.create(tenant=tenant),
    )
    devices = DeviceFactory.create_batch(
        count, tenant=tenant, site=site, product=product, **fields
    )
    units = [Unit(device) for device in devices]
    for unit in units if online else []:
        unit.come_online()
    return units


def make_job(units: list[Unit], **changes: Any) -> Job:
    job, _ = make(units, **changes)
    return job


def make(units: list[Unit], **changes: Any) -> tuple[Job, bool]:
    ids = [unit.device.pk for unit in units]
    arguments: dict[str, Any] = {
        "tenant": units[0].device.tenant,
        "name": "Night reboot",
        "device_ids": ids,
        "command": {"name": "reboot", "params": {}},
        "rollout": {},
        "frozen": FrozenTarget("tag:night", now(), 0.5, "abc"),
        "actor": None,
        "idempotency_key": None,
        "request": "r1",
    }
    return create_job(**{**arguments, **changes})


def tick(at: datetime | None = None) -> datetime:
    at = at or now()
    advance_jobs_across_tenants(at)
    return at


def commands_of(job: Job) -> list[Command]:
    return list(Command.objects.filter(job=job).order_by("pk"))


def answer(units: list[Unit], job: Job, *, status: str = "succeeded") -> None:
    """Deliver the commands, and send a result for each of them."""
    deliver()
    by_device = {unit.device.pk: unit for unit in units}
    for command in Command.objects.filter(job=job, status="sent"):
        by_device[command.device_id].result(command, status)


def again(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def test_a_job_is_released_in_waves_and_completes() -> None:
    units = fleet_of(5)
    job = make_job(units, rollout={"canary": 1, "wave_size": 2})
    assert job.status == "draft"
    start_job(job=job, actor=None)

    sizes = []
    for _ in range(12):
        tick()
        sizes.append(len(commands_of(job)))
        answer(units, job)

    assert sorted(set(sizes)) == [1, 3, 5]
    assert again(job).status == "completed"
    counts = counts_of([job])[job.pk]
    assert dict(counts.by_status) == {"succeeded": 5}
    assert [(wave.number, tally.succeeded) for wave, tally in counts.waves] == [
        (0, 1),
        (1, 2),
        (2, 2),
    ]


def test_failures_above_the_threshold_stop_the_job_with_a_reason() -> None:
    units = fleet_of(6)
    rollout = {"wave_size": 3, "min_ended": 2, "failure_threshold": 0.5}
    job = make_job(units, rollout=rollout)
    start_job(job=job, actor=None)
    tick()
    answer(units, job, status="failed")

    tick()

    job = again(job)
    assert job.status == "stopped"
    assert job.stop_reason == (
        "Wave 1: 3 of 3 finished devices failed (100%), above the failure threshold"
        " of 50%."
    )
    tick()
    assert len(commands_of(job)) == 3


def test_too_few_finished_devices_do_not_stop_a_job() -> None:
    units = fleet_of(4)
    job = make_job(units, rollout={"min_ended": 3})
    start_job(job=job, actor=None)
    tick()
    deliver()
    by_device = {unit.device.pk: unit for unit in units}
    first, second = commands_of(job)[:2]
    by_device[first.device_id].result(first, "failed")
    by_device[second.device_id].result(second, "failed")

    tick()

    assert again(job).status == "running"


def test_a_wave_below_the_success_threshold_pauses_until_a_person_resumes() -> None:
    units = fleet_of(4)
    rollout = {"wave_size": 2, "failure_threshold": 0.6, "success_threshold": 0.8}
    job = make_job(units, rollout=rollout)
    start_job(job=job, actor=None)
    tick()
    deliver()
    by_device = {unit.device.pk: unit for unit in units}
    for command, status in zip(commands_of(job), ("failed", "succeeded"), strict=True):
        by_device[command.device_id].result(command, status)

    tick()
    assert again(job).status == "paused"
    assert "below the success threshold of 80%" in again(job).stop_reason
    with pytest.raises(InvalidCommand):
        resume_job(job=job, actor=None, reason=" ")
    resume_job(job=job, actor=None, reason="one is a known bad relay")
    for _ in range(4):
        tick()

    assert again(job).status == "running"
    assert len(commands_of(job)) == 4


def test_a_paused_job_sends_nothing_until_it_is_resumed() -> None:
    units = fleet_of(2)
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()

    pause_job(job=job, actor=None, reason="storm")
    assert claim() == []
    resume_job(job=job, actor=None, reason="over")

    assert len(claim()) == 2


def test_cancelling_a_job_cancels_its_unsent_commands_at_once() -> None:
    units = fleet_of(4)
    job = make_job(units, rollout={"wave_size": 2})
    start_job(job=job, actor=None)
    tick()

    cancel_job(job=job, actor=None, reason="wrong night")

    assert claim() == []
    assert {command.status for command in commands_of(job)} == {"cancelled"}
    assert JobTarget.objects.exclude(skip_reason="").count() == 2
    with pytest.raises(TransitionRefused):
        resume_job(job=job, actor=None, reason="no, after all")
    assert [event.status for event in JobEvent.objects.order_by("pk")] == [
        "draft",
        "running",
        "cancelled",
    ]


def test_the_soak_time_passes_between_two_waves() -> None:
    units = fleet_of(2)
    job = make_job(units, rollout={"wave_size": 1, "soak_seconds": 600})
    start_job(job=job, actor=None)
    tick()
    answer(units, job)
    ended = tick()

    tick(ended + timedelta(seconds=599))
    assert len(commands_of(job)) == 1
    tick(ended + timedelta(seconds=601))
    assert len(commands_of(job)) == 2


def test_the_rate_limits_the_commands_of_a_minute() -> None:
    units = fleet_of(10)
    job = make_job(units, rollout={"rate_per_minute": 4})
    start_job(job=job, actor=None)
    begin = now()

    for second in range(60):
        tick(begin + timedelta(seconds=second))
    assert len(commands_of(job)) == 4
    for second in range(60, 120):
        tick(begin + timedelta(seconds=second))
    assert len(commands_of(job)) == 8


def test_the_wave_continues_without_an_offline_member() -> None:
    present = fleet_of(2)
    absent = fleet_of(1, online=False, tenant=present[0].device.tenant)
    job = make_job([*present, *absent])
    start_job(job=job, actor=None)
    tick()
    answer(present, job)
    tick()

    counts = counts_of([job])[job.pk]
    assert (counts.succeeded, counts.trailing) == (2, 1)
    assert counts.waves[0][0].status == "ended"
    assert again(job).status == "running"
    absent[0].come_online()
    answer(absent, job)
    tick()
    assert again(job).status == "completed"


def test_offline_members_are_skipped_if_the_rollout_says_so() -> None:
    units = fleet_of(1)
    units += fleet_of(1, online=False, tenant=units[0].device.tenant)
    job = make_job(units, rollout={"offline": "skip"})
    start_job(job=job, actor=None)

    tick()

    skipped = JobTarget.objects.exclude(skip_reason="").get()
    assert (skipped.device, skipped.skip_reason) == (units[1].device, "is offline")
    assert len(commands_of(job)) == 1


def test_only_active_devices_join_and_the_others_are_skipped_with_a_reason() -> None:
    units = fleet_of(1)
    units += fleet_of(1, tenant=units[0].device.tenant, lifecycle="in_repair")

    job = make_job(units)

    left_out = JobTarget.objects.get(wave__isnull=True)
    assert left_out.device == units[1].device
    assert left_out.skip_reason == "is in repair: only active devices join jobs"
    assert counts_of([job])[job.pk].total == 2


def test_a_job_without_members_or_with_another_tenants_device_is_refused() -> None:
    mine, theirs = fleet_of(1), fleet_of(1)
    retired = fleet_of(
        1, online=False, tenant=mine[0].device.tenant, lifecycle="retired"
    )

    with pytest.raises(InvalidCommand):
        make_job(retired)
    with pytest.raises(InvalidCommand):
        make_job([*mine, *theirs])

    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("rollout", "field"),
    [
        ({"canary": -1}, "rollout.canary"),
        ({"canary": 1.5}, "rollout.canary"),
        ({"canary": float("inf")}, "rollout.canary"),
        ({"wave_size": 0}, "rollout.wave_size"),
        ({"wave_size": 2, "waves": [0.5]}, "rollout.waves"),
        ({"waves": [0.8, 0.8]}, "rollout.waves"),
        ({"failure_threshold": 2}, "rollout.failure_threshold"),
        ({"deadline": "yesterday"}, "rollout.deadline"),
        ({"deadline": "2001-01-01T00:00:00Z"}, "rollout.deadline"),
        ({"deadline": "9999-12-31T23:59:59-14:00"}, "rollout.deadline"),
        ({"start_at": "0001-01-01T00:00:00+14:00"}, "rollout.start_at"),
        ({"canary": 2}, "rollout.canary"),
        ({"window": {"from": "01:00"}}, "rollout.window.to"),
        ({"window": {"from": "01:00", "to": "01:00"}}, "rollout.window"),
        ({"window": {"from": "1:00", "to": "02:00"}}, "rollout.window.from"),
        ({"offline": "maybe"}, "rollout.offline"),
        ({"speed": 9}, "rollout.speed"),
    ],
)
def test_a_bad_rollout_names_its_field(rollout: dict[str, Any], field: str) -> None:
    units = fleet_of(1, online=False)

    with pytest.raises(InvalidRollout) as refusal:
        make_job(units, rollout=rollout)

    assert [row["field"] for row in refusal.value.errors] == [field]


def test_the_same_key_creates_one_job() -> None:
    units = fleet_of(2, online=False)
    tenant: Tenant = units[0].device.tenant

    first, is_new = make(units, idempotency_key="k1")
    repeat, is_new_again = make(units[:1], idempotency_key="k1")

    assert (is_new, is_new_again, repeat) == (True, False, first)
    assert find_earlier_job(tenant=tenant, idempotency_key="k1", request="r1") == first
    with pytest.raises(IdempotencyKeyReused):
        find_earlier_job(tenant=tenant, idempotency_key="k1", request="r2")


def test_a_scheduled_job_starts_at_its_start_time() -> None:
    units = fleet_of(1)
    start_at = now() + timedelta(hours=1)
    job = make_job(units, rollout={"start_at": start_at.isoformat()})
    assert job.status == "scheduled"

    tick()
    assert commands_of(job) == []
    tick(start_at + timedelta(seconds=1))

    assert len(commands_of(job)) == 1


def test_at_the_deadline_the_rest_is_skipped_and_the_job_ends() -> None:
    units = fleet_of(2)
    deadline = now() + timedelta(hours=1)
    job = make_job(units, rollout={"wave_size": 1, "deadline": deadline.isoformat()})
    start_job(job=job, actor=None)
    tick()
    (command,) = commands_of(job)
    assert command.expires_at == deadline

    after = deadline + timedelta(seconds=1)
    sweep(after)
    for _ in range(3):
        tick(after)

    assert fresh(command).status == "expired"
    assert again(job).status == "completed"
    assert JobTarget.objects.exclude(skip_reason="").count() == 1


def test_a_configuration_job_changes_each_twin_and_completes_when_reported() -> None:
    units = fleet_of(2)
    command = {"name": "set_config", "params": {"interval": 5}}
    job = make_job(units, command=command)
    start_job(job=job, actor=None)
    tick()
    deliver()

    for unit in units:
        unit.report(1, {"interval": 5})
    for _ in range(2):
        tick()

    assert {made.status for made in commands_of(job)} == {"verified"}
    assert again(job).status == "completed"


def test_releasing_a_wave_needs_few_queries_for_any_size(
    django_assert_max_num_queries: Any,
) -> None:
    units = fleet_of(60)
    job = make_job(units)
    start_job(job=job, actor=None)

    with django_assert_max_num_queries(25):
        tick()

    assert len(commands_of(job)) == 60
