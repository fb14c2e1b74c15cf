"""A worker that is killed at any statement of a playbook repeats no effect."""

from __future__ import annotations

from collections import Counter

import pytest

from commands.models import Command
from console.services.playbooks.runs import answer_step
from state.models import AttentionEntry
from tests.commands.dying_worker import dying_worker
from tests.commands.units import Unit
from tests.console.playbooks import ASK, NOTE, REBOOT, run_on, shown
from tests.factories import DeviceFactory, UserFactory
from tests.fleet.test_indexer_killed import database_url

ESCALATE = {"kind": "escalate", "text": "somebody must go there"}
STRIDE = 5  # statements between two kills; 1 at full size


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_at_any_statement_of_a_playbook_repeats_no_effect(
    is_long: bool, counted: Counter[str]
) -> None:
    unit = Unit(DeviceFactory.create(uid="d-1"))
    unit.come_online()
    run = run_on(unit.device, NOTE, ESCALATE, ASK, REBOOT)
    stride = 1 if is_long else STRIDE

    with dying_worker("console.tasks.advance_playbooks", url=database_url()) as once:
        for _ in ("until the question", "after its answer"):
            nth = 1
            while once(nth) == "killed":
                counted["kills of a worker that runs a playbook"] += 1
                nth += stride
            if shown(run)["d-1"][-1] == (3, "waiting"):
                answer_step(run, 3, "Yes", by=UserFactory.create())

    ended = [(number, "succeeded") for number in (1, 2, 3)]
    assert shown(run)["d-1"] == [*ended, (4, "running")]
    assert Command.objects.count() == 1
    assert AttentionEntry.objects.count() == 2  # the question, the escalation
