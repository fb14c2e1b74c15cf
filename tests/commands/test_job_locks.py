"""A lock on a job's row does not block a new command of that job."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from commands.choices import FailureClass
from commands.exceptions import TransitionRefused
from commands.models import Command, Job
from commands.services.job_advance import advance_job
from commands.services.job_rerun import retry_failed
from commands.services.jobs import pause_job, start_job
from tests.commands.test_jobs import fleet_of, make_job
from tests.commands.units import now


def advance(job: Job) -> None:
    advance_job(job.pk, now=now())


def pause(job: Job) -> None:
    pause_job(job=job, actor=None, reason="a look")


def retry(job: Job) -> None:
    with pytest.raises(TransitionRefused):
        retry_failed(
            job=job, failure_class=FailureClass.NO_ACK, actor=None, reason="again"
        )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [advance, pause, retry])
def test_a_command_can_join_a_job_while_its_row_is_locked(
    act: Callable[[Job], None],
) -> None:
    job = make_job(fleet_of(2))
    start_job(job=job, actor=None)
    advance(job)
    command = Command.objects.filter(job=job).latest("pk")
    refused: list[Any] = []

    def join_the_job() -> None:
        """Do what a sweep does when it replaces a failed command of the job."""
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                Command.objects.filter(pk=command.pk).update(job=None)
                Command.objects.filter(pk=command.pk).update(job=job)
        except Exception as error:
            refused.append(error)
        finally:
            connection.close()

    with transaction.atomic():
        act(job)
        thread = threading.Thread(target=join_the_job)
        thread.start()
        thread.join()

    assert refused == []
