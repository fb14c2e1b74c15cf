"""The clock that starts every sweep, when the machine's clock is set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from celery.beat import ScheduleEntry, Scheduler

from iotplatform.celery import app
from tests.waiting import wait_until


class Noting(Scheduler):  # type: ignore[misc]
    """Beat's own scheduler; what it would send is noted, for nobody works here."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        super().__init__(app)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        self.sent.append(entry.task)

    def sends(self, task: str) -> bool:
        """Turn once; whether the task has been sent."""
        self.tick()
        return task in self.sent


@pytest.mark.parametrize("hours", [-1, 1])
def test_sweeps_go_on_when_the_clock_is_set(hours: int) -> None:
    beat = Noting()
    wait_until(lambda: beat.sends("state.sweep"), what="the first sweep")
    beat.sent.clear()

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours)):
        wait_until(lambda: beat.sends("state.sweep"), what="a sweep")


def test_what_is_rare_is_done_at_the_start_and_stays_rare_when_the_clock_is_set() -> (
    None
):
    beat = Noting()
    wait_until(lambda: beat.sends("state.keep_history"), what="the first look")
    wait_until(lambda: beat.sends("commands.keep_history"), what="the first look")
    beat.sent.clear()

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=1)):
        wait_until(lambda: beat.sends("state.sweep"), what="a sweep")

    assert not {"state.keep_history", "commands.keep_history"} & set(beat.sent)
