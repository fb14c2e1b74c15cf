"""Waking a worker: best effort, because a sweep looks at the table anyway."""

from __future__ import annotations

import logging

from celery import current_app
from django.db import connection, transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)


def enqueue_on_commit(task_name: str, *args: str | int) -> None:
    """Queue a task by its registered name once the transaction commits.

    A dead Redis costs nothing but the time until the task's sweep runs.
    """
    task = current_app.tasks[task_name]  # a misspelt name fails here, in the caller

    def send() -> None:
        try:
            task.apply_async(args, retry=False)
        except (OperationalError, OSError) as error:
            logger.warning("could not queue %s: %s", task_name, error)

    transaction.on_commit(send)


def notify(channel: str, payload: str = "") -> None:
    """Send one PostgreSQL NOTIFY with the commit: one a batch, never one a row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])
