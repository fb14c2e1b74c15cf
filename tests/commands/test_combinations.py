"""A gateway and its children end in an allowed combination, or as work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from commands.exceptions import InvalidRollout, RollbackRefused
from commands.judgment.combinations import Pair, Turn, place_in_order, turn_of
from commands.models import Command, Job, JobTarget, JobWave
from commands.selectors.job_waits import describe_waits
from commands.selectors.jobs import counts_of
from commands.services.job_advance import advance_job
from commands.services.job_rollback import roll_back_job
from commands.services.jobs import start_job
from commands.services.mixed_systems import judge_mixed_across_tenants
from console.models import AttentionItem
from console.services.attention import take_attention_across_tenants
from state.models import AttentionEntry, Twin
from tests.commands.test_gateway_windows import children_of
from tests.commands.test_jobs import make_job, tick
from tests.commands.units import Unit, deliver, now, online_unit, sweep

OLD, NEW = "1.0", "2.0"
GATEWAY_FIRST = [(OLD, OLD), (NEW, OLD), (NEW, NEW)]
CHILDREN_FIRST = [(OLD, OLD), (OLD, NEW), (NEW, NEW)]
PAIRS = [(gateway, child) for gateway in (OLD, NEW) for child in (OLD, NEW)]


@given(
    allowed=st.frozensets(st.sampled_from(PAIRS)).filter(lambda a: (OLD, OLD) in a),
    results=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=8),
)
def test_whatever_fails_a_pair_never_leaves_what_is_allowed(
    allowed: frozenset[tuple[str, str]], results: list[tuple[bool, bool]]
) -> None:
    """Each result is (whose turn, did it work); at any of them all may end."""
    turn = turn_of(Pair(OLD, OLD, NEW, NEW), allowed)
    gateway, child = OLD, OLD
    for is_gateway, works in results:
        after = (NEW, child) if is_gateway else (gateway, NEW)
        if turn != Turn.NEVER and after in allowed and works:
            gateway, child = after
        assert (gateway, child) in allowed
    if turn != Turn.NEVER:
        first = (NEW, OLD) if turn == Turn.GATEWAY else (OLD, NEW)
        assert first in allowed
        assert (NEW, NEW) in allowed


@given(
    waves=st.lists(st.integers(0, 5), min_size=2, max_size=12),
    turns=st.lists(st.sampled_from([Turn.GATEWAY, Turn.CHILD]), max_size=11),
    systems=st.integers(1, 3),
)
def test_the_first_half_is_in_an_earlier_wave(
    waves: list[int], turns: list[Turn], systems: int
) -> None:
    placed = dict(enumerate(waves))
    by_gateway: dict[int, dict[int, Turn]] = {}
    for child, turn in enumerate(turns, start=systems):
        by_gateway.setdefault(child % systems, {})[child] = turn

    found = place_in_order(placed, by_gateway)

    assert found.keys() == placed.keys()
    for gateway, children in by_gateway.items():
        for child, turn in children.items():
            if child in found and gateway in found:
                is_after = found[child] > found[gateway]
                assert found[child] != found[gateway]
                assert is_after == (turn == Turn.GATEWAY)


def system_of(children: int = 2, **fields: Any) -> list[Unit]:
    gateway = online_unit(kind="gateway", **fields)
    units = [gateway, *children_of(gateway.device, children)]
    for unit in units:
        report(units, unit, OLD, 1)
    return units


def report(units: list[Unit], unit: Unit, firmware: str, version: int) -> None:
    gateway, uid = units[0], unit.device.uid
    within = "" if unit is gateway else f"/child/{uid}"
    body = {"version": version, "reported": {"firmware": firmware}}
    gateway.say_on(f"iot/v1/{gateway.device.uid}{within}/reported", body)


def update(units: list[Unit], allowed: list[tuple[str, str]], **rollout: Any) -> Job:
    declared = [{"gateway": g, "children": c} for g, c in allowed]
    job = make_job(
        units,
        command={"name": "update_firmware", "params": {"version": NEW}},
        rollout={"combinations": declared, "success_threshold": 0, **rollout},
    )
    start_job(job=job, actor=None)
    return job


def work(
    units: list[Unit],
    job: Job,
    *,
    broken: Unit | None = None,
    firmware: str = NEW,
) -> list[tuple[str, ...]]:
    """Let the job run as long as it does something; return the states on its way."""
    states = []
    first = Command.objects.count() * 20 + 2  # versions of documents only grow
    for step in range(first, first + 12):
        tick()
        states += work_once(units, job, step, broken=broken, firmware=firmware)
    return states


def work_once(
    units: list[Unit],
    job: Job,
    step: int,
    *,
    broken: Unit | None = None,
    firmware: str = NEW,
) -> list[tuple[str, ...]]:
    """Deliver and answer what the job has handed out."""
    deliver()
    devices = [unit.device for unit in units]
    for command in Command.objects.filter(job=job, status="sent", device__in=devices):
        unit = next(u for u in units if u.device.pk == command.device_id)
        within = "" if unit is units[0] else f"/child/{unit.device.uid}"
        kind = f"command/{command.public_id}/result"
        topic = f"iot/v1/{units[0].device.uid}{within}/{kind}"
        if unit is broken:
            units[0].say_on(topic, {"status": "failed"})
        else:
            units[0].say_on(topic, {"status": "succeeded"})
            report(units, unit, firmware, step)
    return [firmware_of(units)]


def firmware_of(units: list[Unit]) -> tuple[str, ...]:
    found = dict(Twin.objects.values_list("device_id", "firmware"))
    return tuple(found[unit.device.pk] for unit in units)


def judge() -> int:
    return judge_mixed_across_tenants(now=now(), limit=100)


@pytest.mark.django_db
@pytest.mark.parametrize("allowed", [GATEWAY_FIRST, CHILDREN_FIRST])
def test_a_system_is_updated_over_allowed_combinations(
    allowed: list[tuple[str, str]],
) -> None:
    units = system_of()

    states = work(units, job := update(units, allowed))

    assert states[-1] == (NEW, NEW, NEW)
    assert {(g, c) for g, *rest in states for c in rest} <= set(allowed)
    assert Job.objects.get(pk=job.pk).status == "completed"
    assert judge() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("allowed", "broken", "ends"),
    [
        (GATEWAY_FIRST, 0, (OLD, OLD, OLD)),
        (GATEWAY_FIRST, 1, (NEW, OLD, NEW)),
        (CHILDREN_FIRST, 0, (OLD, NEW, NEW)),
        (CHILDREN_FIRST, 1, (OLD, OLD, NEW)),
    ],
)
def test_a_failed_half_leaves_an_allowed_combination(
    allowed: list[tuple[str, str]], broken: int, ends: tuple[str, ...]
) -> None:
    units = system_of()
    job = update(units, allowed, failure_threshold=1)

    work(units, job, broken=units[broken])

    assert firmware_of(units) == ends
    assert {(ends[0], child) for child in ends[1:]} <= set(allowed)
    left_out = JobTarget.objects.filter(job=job).exclude(skip_reason="")
    assert all("not allowed" in target.skip_reason for target in left_out)
    assert counts_of([job])[job.pk].total == 3
    assert judge() == 0


@pytest.mark.django_db
def test_without_an_allowed_order_the_job_is_refused() -> None:
    units = system_of()

    with pytest.raises(InvalidRollout) as refused:
        update(units, [(OLD, OLD), (NEW, NEW)])

    [error] = refused.value.errors
    assert error["field"] == "rollout.combinations"
    assert "no allowed combination leads to 2.0" in error["message"]


@pytest.mark.django_db
def test_a_system_that_cannot_be_updated_whole_is_left_out_whole() -> None:
    good = system_of()
    bad = system_of(tenant=good[0].device.tenant)
    report(bad, bad[1], "0.9", 2)

    job = update([*good, *bad], GATEWAY_FIRST)

    targets = JobTarget.objects.filter(job=job, wave__isnull=True)
    assert set(targets.values_list("device_id", flat=True)) == {
        unit.device.pk for unit in bad
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    "combinations",
    [
        [],
        [{"gateway": "1.0"}],
        [{"gateway": "1.0", "children": "1.0"}] * 2,
    ],
)
def test_what_is_no_list_of_combinations_is_refused(combinations: list[Any]) -> None:
    units = system_of()

    with pytest.raises(InvalidRollout) as refused:
        make_job(
            units,
            command={"name": "update_firmware", "params": {"version": NEW}},
            rollout={"combinations": combinations},
        )

    assert refused.value.errors[0]["field"].startswith("rollout.combinations")


@pytest.mark.django_db
def test_only_an_update_of_firmware_has_combinations() -> None:
    declared = [{"gateway": "1.0", "children": "1.0"}]

    with pytest.raises(InvalidRollout):
        make_job(system_of(), rollout={"combinations": declared})


@pytest.mark.django_db
def test_a_mixed_system_is_one_item_until_it_is_whole_again() -> None:
    units = system_of()
    work(units, update(units, GATEWAY_FIRST))
    report(units, units[0], OLD, 50)  # somebody took the gateway back by hand

    assert (judge(), judge()) == (1, 0)
    take_attention_across_tenants()

    item = AttentionItem.objects.get(kind="mixed")
    assert item.uid == units[0].device.uid
    assert "it reports 1.0, its children" in item.reason
    assert all(f"{unit.device.uid} 2.0" in item.reason for unit in units[1:])

    report(units, units[0], NEW, 51)
    assert (judge(), judge()) == (1, 0)
    take_attention_across_tenants()
    item.refresh_from_db()
    assert item.closed_at is not None

    report(units, units[0], OLD, 52)
    judge()
    assert AttentionEntry.objects.filter(kind="mixed", over_at=None).count() == 1
    assert AttentionEntry.objects.filter(kind="mixed").count() == 2


@pytest.mark.django_db
def test_a_child_that_waits_in_vain_is_left_out_at_the_deadline() -> None:
    units = system_of(1)
    deadline = now() + timedelta(hours=1)
    job = update(units, GATEWAY_FIRST, deadline=deadline.isoformat())
    tick()
    deliver()  # and the gateway never answers

    later = deadline + timedelta(seconds=1)
    tick(later)
    sweep(later)
    tick(later)

    assert Job.objects.get(pk=job.pk).status == "completed"
    assert Command.objects.filter(job=job).count() == 1
    assert judge() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("allowed", "waiting"),
    [
        (GATEWAY_FIRST, "2 child devices are waiting for their gateways"),
        (CHILDREN_FIRST, "1 gateway is waiting for its children, "),
    ],
)
def test_a_job_says_that_one_half_waits_for_the_other(
    allowed: list[tuple[str, str]], waiting: str
) -> None:
    units = system_of()
    job = update(units, allowed)
    for _ in range(4):
        tick()
        deliver()
        for wave in JobWave.objects.filter(job=job, status="pending")[:1]:
            # A person goes on although the first half has not answered.
            JobWave.objects.filter(pk=wave.pk).update(status="released")

    job.refresh_from_db()
    words = describe_waits([job], counts_of([job]), now=now())[job.pk]

    assert words is not None
    assert words.startswith(waiting)
    assert Command.objects.filter(job=job).count() < 3


@pytest.mark.django_db
@pytest.mark.parametrize("allowed", [GATEWAY_FIRST, CHILDREN_FIRST])
def test_a_rollback_takes_the_allowed_way_back(allowed: list[tuple[str, str]]) -> None:
    units = system_of()
    work(units, job := update(units, allowed))
    assert firmware_of(units) == (NEW, NEW, NEW)

    job.refresh_from_db()
    restoring = roll_back_job(job=job, actor=None)
    states = work(units, restoring, firmware=OLD)

    assert states[-1] == (OLD, OLD, OLD)
    assert {(g, c) for g, *rest in states for c in rest} <= set(allowed)
    assert judge() == 0


@pytest.mark.django_db
def test_a_rollback_without_an_allowed_way_is_refused_and_leaves_work() -> None:
    units = system_of()
    work(units, job := update(units, GATEWAY_FIRST))
    report(units, units[1], "3.0", 50)  # by hand

    job.refresh_from_db()
    with pytest.raises(RollbackRefused, match=r"no allowed combination leads to 1\.0"):
        roll_back_job(job=job, actor=None)

    assert judge() == 1


class Killed(Exception):
    pass


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("allowed", [GATEWAY_FIRST, CHILDREN_FIRST])
def test_killed_at_every_step_it_only_takes_longer(
    allowed: list[tuple[str, str]],
) -> None:
    units = system_of()
    job = update(units, allowed)
    states = []
    for step in range(2, 14):
        for killed in (True, False):
            try:
                with transaction.atomic():
                    advance_job(job.pk, now=now())
                    judge()
                    if killed:
                        raise Killed
            except Killed:
                continue
        states += work_once(units, job, step)

    assert states[-1] == (NEW, NEW, NEW)
    assert {(g, c) for g, *rest in states for c in rest} <= set(allowed)
    assert Command.objects.filter(job=job).count() == 3
    assert not AttentionEntry.objects.filter(kind="mixed").exists()
