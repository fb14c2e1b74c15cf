"""The schedule of periodic tasks, when the machine's clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from celery.beat import ScheduleEntry, Scheduler

from iotplatform.celery import app
from tests.waiting import wait_until


class Noting(Scheduler):  # type: ignore[misc]
    """Beat's scheduler, but it records the tasks that it would send."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        super().__init__(app)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        self.sent.append(entry.task)

    def sends(self, task: str) -> bool:
        """Run the scheduler once; return whether the task was sent."""
        self.tick()
        return task in self.sent


@pytest.mark.parametrize("hours", [-1, 1])
def test_sweeps_continue_when_the_clock_changes(hours: int) -> None:
    beat = Noting()
    wait_until(lambda: beat.sends("state.sweep"), what="the first sweep")
    beat.sent.clear()

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours)):
        wait_until(lambda: beat.sends("state.sweep"), what="a sweep")


def test_rare_tasks_run_at_the_start_and_not_again_when_the_clock_changes() -> None:
    beat = Noting()
    wait_until(lambda: beat.sends("state.keep_history"), what="the first look")
    wait_until(lambda: beat.sends("commands.keep_history"), what="the first look")
    beat.sent.clear()

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        wait_until(lambda: beat.sends("state.sweep"), what="a sweep")

    assert not {"state.keep_history", "commands.keep_history"} & set(beat.sent)
