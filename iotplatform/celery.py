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
# Rare tasks are due at the start. Beat keeps no file of last runs: those times would be
# from another clock.
AT_START = STARTED_AT - timedelta(days=1)
app.conf.beat_scheduler = "iotplatform.beat:OnlyOneSends"
# A late task is useless when the next one is due, so each entry expires by then.
app.conf.beat_schedule = {
    "registry.run_imports": {
        "task": "registry.run_imports",
        "schedule": every(10),
        "options": {"expires": 10},
    },
    "state.sweep": {
        "task": "state.sweep",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "state.rescore": {
        "task": "state.rescore",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "state.rediagnose": {
        "task": "state.rediagnose",
        "schedule": every(5),
        "options": {"expires": 5},
    },
    "state.tidy": {
        "task": "state.tidy",
        "schedule": every(60),
        "options": {"expires": 60},
    },
    "state.keep_history": {
        "task": "state.keep_history",
        "schedule": every(3_600),
        "last_run_at": AT_START,
        "options": {"expires": 3_600},
    },
    "commands.look_at_due": {
        "task": "commands.look_at_due",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "commands.advance_jobs": {
        "task": "commands.advance_jobs",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "commands.tell_outcomes": {
        "task": "commands.tell_outcomes",
        "schedule": every(2),
        "options": {"expires": 2},
    },
    "commands.tell_deliveries": {
        "task": "commands.tell_deliveries",
        "schedule": every(30),
        "options": {"expires": 30},
    },
    "commands.tidy": {
        "task": "commands.tidy",
        "schedule": every(10),
        "options": {"expires": 10},
    },
    "commands.check_counts": {
        "task": "commands.check_counts",
        "schedule": every(86_400),
        "last_run_at": AT_START,
        "options": {"expires": 86_400},
    },
    "commands.keep_history": {
        "task": "commands.keep_history",
        "schedule": every(3_600),
        "last_run_at": AT_START,
        "options": {"expires": 3_600},
    },
    "fleet.run_edits": {
        "task": "fleet.run_edits",
        "schedule": every(10),
        "options": {"expires": 10},
    },
    "fleet.apply_policies": {
        "task": "fleet.apply_policies",
        "schedule": every(5),
        "options": {"expires": 5},
    },
    "fleet.watch_cohorts": {
        "task": "fleet.watch_cohorts",
        "schedule": every(5),
        "options": {"expires": 5},
    },
    "fleet.compare_approved": {
        "task": "fleet.compare_approved",
        "schedule": every(5),
        "options": {"expires": 5},
    },
    "fleet.record_sizes": {
        "task": "fleet.record_sizes",
        "schedule": every(60),
        "options": {"expires": 60},
    },
    "fleet.keep_history": {
        "task": "fleet.keep_history",
        "schedule": every(3_600),
        "last_run_at": AT_START,
        "options": {"expires": 3_600},
    },
    "console.take_attention": {
        "task": "console.take_attention",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "console.advance_playbooks": {
        "task": "console.advance_playbooks",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "console.spread_events": {
        "task": "console.spread_events",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "console.deliver_webhooks": {
        "task": "console.deliver_webhooks",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "console.plan_notifications": {
        "task": "console.plan_notifications",
        "schedule": every(5),
        "options": {"expires": 5},
    },
    "console.send_notifications": {
        "task": "console.send_notifications",
        "schedule": every(1),
        "options": {"expires": 1},
    },
    "console.sweep_incidents": {
        "task": "console.sweep_incidents",
        "schedule": every(5),
        "options": {"expires": 5},
    },
    "console.count_sla_days": {
        "task": "console.count_sla_days",
        "schedule": every(60),
        "options": {"expires": 60},
    },
    "console.keep_history": {
        "task": "console.keep_history",
        "schedule": every(3_600),
        "last_run_at": AT_START,
        "options": {"expires": 3_600},
    },
}
