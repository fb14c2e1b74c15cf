"""The Celery application, and the schedule of every periodic task."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from time import monotonic

from celery import Celery
from celery.schedules import schedule
from celery.signals import task_prerun
from django.db import connection
from kombu.entity import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")

app = Celery("iotplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

RARE = 3_600  # seconds
STARTED_AT, STARTED = datetime.now(UTC), monotonic()


def steady_now() -> datetime:
    """Return the time, unaffected by changes of the clock since this process started.

    Beat compares with the last run: after the clock is set back by an hour, it would
    run nothing for an hour.
    """
    return STARTED_AT + timedelta(seconds=monotonic() - STARTED)


def every(seconds: float) -> schedule:
    """Return a schedule that changes of the clock do not affect."""
    return schedule(timedelta(seconds=seconds), nowfun=steady_now)


@task_prerun.connect  # type: ignore[untyped-decorator]
def replace_broken_connection(**_event: object) -> None:
    """Connect anew if the database went away since the last task.

    A worker keeps its connection for many tasks (CELERY_DB_REUSE_MAX).
    """
    if connection.connection and not connection.in_atomic_block:
        if not connection.is_usable():
            connection.close()


# A long import must not delay a timeout, nor a mail wait for either: a worker process
# for each queue. One that names no queue serves them all.
CLOCK, BULK, NOTIFY = "clock", "bulk", "notify"
app.conf.task_queues = [Queue(name) for name in (CLOCK, BULK, NOTIFY)]  # type: ignore[no-untyped-call]
app.conf.task_default_queue = CLOCK
app.conf.task_routes = {
    "registry.run_imports": {"queue": BULK},
    "commands.keep_history": {"queue": BULK},
    "commands.check_counts": {"queue": BULK},
    "console.count_sla_days": {"queue": BULK},
    "console.deliver_webhooks": {"queue": NOTIFY},
    "console.send_notifications": {"queue": NOTIFY},
    "fleet.run_edits": {"queue": BULK},
}
# Seconds from one run to the next.
PERIODS = {
    "registry.run_imports": 10,
    "state.sweep": 1,
    "state.rescore": 1,
    "state.rediagnose": 5,
    "state.tidy": 60,
    "state.keep_history": 3_600,
    "commands.look_at_due": 1,
    "commands.advance_jobs": 1,
    "commands.tell_outcomes": 2,
    "commands.tell_deliveries": 30,
    "commands.tidy": 10,
    "commands.check_counts": 86_400,
    "commands.keep_history": 3_600,
    "fleet.run_edits": 10,
    "fleet.apply_policies": 5,
    "fleet.watch_cohorts": 5,
    "fleet.compare_approved": 5,
    "fleet.record_sizes": 60,
    "fleet.keep_history": 3_600,
    "console.take_attention": 1,
    "console.advance_playbooks": 1,
    "console.spread_events": 1,
    "console.deliver_webhooks": 1,
    "console.plan_notifications": 5,
    "console.send_notifications": 1,
    "console.sweep_incidents": 5,
    "console.count_sla_days": 60,
    "console.keep_history": 3_600,
}
app.conf.beat_scheduler = "iotplatform.beat:OnlyOneSends"
# A late task is useless when the next one is due, so each entry expires by then. Rare
# tasks are due at the start. Beat keeps no file of last runs: those times would be from
# another clock.
app.conf.beat_schedule = {
    task: {
        "task": task,
        "schedule": every(seconds),
        "options": {"expires": seconds},
        "last_run_at": STARTED_AT - timedelta(days=1) if seconds >= RARE else None,
    }
    for task, seconds in PERIODS.items()
}
