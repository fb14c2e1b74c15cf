"""A worker that is killed between any two statements leaves no system in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from commands.models import Command, Job
from state.models import AttentionEntry
from tests.commands.dying_worker import dying_worker
from tests.commands.test_combinations import (
    CHILDREN_FIRST,
    GATEWAY_FIRST,
    NEW,
    OLD,
    firmware_of,
    report,
    system_of,
    update,
    work_once,
)
from tests.fleet.test_indexer_killed import database_url

STRIDE = 23  # statements between two kills; 1 at full size
TASKS = [f"commands.tasks.{name}" for name in ("advance_jobs", "process_due", "tidy")]
MOST_RUNS = 24  # of the periodic tasks; the job needs about ten


@pytest.fixture
def run_until_killed(db: None) -> Iterator[Callable[[int], str]]:
    """Runs the periodic tasks in a process that dies before its nth statement."""
    with dying_worker(*TASKS, url=database_url()) as run:
        yield run


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("allowed", [GATEWAY_FIRST, CHILDREN_FIRST])
def test_a_worker_killed_between_statements_leaves_no_unknown_combination(
    run_until_killed: Callable[[int], str],
    allowed: list[tuple[str, str]],
    is_long: bool,
    counted: Counter[str],
) -> None:
    good = system_of()
    tenant = good[0].device.tenant
    failing, by_hand = system_of(tenant=tenant), system_of(tenant=tenant)
    job = update([*good, *failing, *by_hand], allowed, failure_threshold=1)
    stride = 1 if is_long else STRIDE

    for run in range(MOST_RUNS):
        nth = 1 + run % stride  # over the runs, other statements than before
        while run_until_killed(nth) == "killed":
            counted["kills of a worker that updates systems"] += 1
            nth += stride
        for number, units in enumerate((good, failing, by_hand)):
            broken = units[0] if units is failing else None
            step = 2 + run * 3 + number
            [state] = work_once(units, job, step, broken=broken)
            if units is not by_hand:
                assert {(state[0], child) for child in state[1:]} <= set(allowed)
        if Job.objects.get(pk=job.pk).status == "completed":
            break
    # Somebody takes a half back that the other one does not allow.
    first = by_hand[0] if allowed is GATEWAY_FIRST else by_hand[1]
    report(by_hand, first, OLD, 900)
    nth = 1
    while run_until_killed(nth) == "killed":
        counted["kills of a worker that updates systems"] += 1
        nth += stride

    assert firmware_of(good) == (NEW, NEW, NEW)
    assert Job.objects.get(pk=job.pk).status == "completed"
    devices = Command.objects.filter(job=job).values_list("device_id", flat=True)
    assert len(devices) == len(set(devices))
    mixed = AttentionEntry.objects.filter(kind="mixed", over_at=None)
    assert [entry.device_id for entry in mixed] == [by_hand[0].device.pk]
