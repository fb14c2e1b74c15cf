"""The schedule of periodic tasks, when the machine's clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import time_machine
from celery.beat import ScheduleEntry, Scheduler
from django.db import connection

from commands.tasks import advance_jobs
from iotplatform.beat import BEAT_LOCK, SPARE_LOOKS_EVERY, OnlyOneSends
from iotplatform.celery import app
from tests.waiting import wait_until

ALL_TASKS = sorted({entry["task"] for entry in app.conf.beat_schedule.values()})


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


class Spare(OnlyOneSends):
    """The scheduler of another beat process, but it records what it would send."""

    sent: list[str]

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        self.sent.append(entry.task)


@pytest.mark.django_db(transaction=True)
def test_a_second_beat_sends_nothing_until_the_first_is_gone() -> None:
    spare = Spare(app)
    spare.sent = []
    first = psycopg.connect(**connection.get_connection_params())
    with first:
        first.execute("SELECT pg_advisory_lock(%s)", [BEAT_LOCK])
        first.commit()

        assert spare.tick() == SPARE_LOOKS_EVERY
        assert spare.sent == []
    first.close()

    def takes_over() -> bool:
        spare.tick()
        return "state.sweep" in spare.sent

    wait_until(takes_over, what="the spare's first sweep")
    spare.close()


@pytest.mark.django_db(transaction=True)
def test_a_task_connects_again_after_the_database_ended_the_connection() -> None:
    connection.ensure_connection()
    ours = connection.connection.info.backend_pid
    parameters = connection.get_connection_params() | {"autocommit": True}
    with psycopg.connect(**parameters) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [ours])
        is_there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        wait_until(
            lambda: not other.execute(is_there, [ours]).fetchone(),
            what="the end of the connection",
        )

    assert advance_jobs.apply().successful()


def test_imports_long_deletions_and_webhooks_have_queues_of_their_own() -> None:
    route = app.amqp.router.route

    queues = {name: route({}, name)["queue"].name for name in ALL_TASKS}

    assert queues == dict.fromkeys(ALL_TASKS, "clock") | {
        "registry.run_imports": "bulk",
        "commands.keep_history": "bulk",
        "commands.check_counts": "bulk",
        "fleet.run_edits": "bulk",
        "console.count_sla_days": "bulk",
        "console.deliver_webhooks": "notify",
        "console.send_notifications": "notify",
    }
