"""The sweep that advances runs: what is due of each, a batch of devices at a time."""

from __future__ import annotations

import logging
import math
from datetime import datetime
from functools import partial
from itertools import groupby

from django.db import InterfaceError, OperationalError, transaction

from console.choices import RunStatus, StepStatus
from console.models import PlaybookRun, PlaybookRunDevice, PlaybookStep
from console.services.playbooks.progress import (
    Ended,
    close_if_over,
    record,
    start_members,
)
from console.services.playbooks.steps import Look, do_step
from console.validation import MOST_STEPS, Step, compile_steps
from iotplatform.common.deadlocks import repeat_on_deadlock

logger = logging.getLogger(__name__)

# Devices of one transaction: a command for each is written in well under a second.
BATCH = 500
OPEN = (StepStatus.WAITING, StepStatus.RUNNING)


def advance_runs_across_tenants(*, now: datetime) -> int:
    """Advance every run that has something to do; return how many."""
    due = PlaybookStep.objects.filter(due_at__lte=now).values("run_id")
    waiting = PlaybookRunDevice.objects.filter(is_started=False, ended_at=None)
    ids = {row["run_id"] for row in due.distinct()}
    ids |= {row["run_id"] for row in waiting.values("run_id").distinct()}
    return sum(_advance_or_log(pk, now) for pk in sorted(ids))


def _advance_or_log(run_id: int, now: datetime) -> bool:
    """Advance one run; an error in it does not stop the others."""
    try:
        return advance_run(run_id, now=now)
    except (OperationalError, InterfaceError):
        raise  # the database is away; the other runs would fail too
    except Exception:
        logger.exception("playbook run %s cannot be advanced", run_id)
        return False


def advance_run(run_id: int, *, now: datetime) -> bool:
    """Do what is due of one run, one transaction for each step of a batch.

    Return whether anything was done. Another worker's run is left to it.
    """
    done = False
    for _ in range(2 * MOST_STEPS):
        if not repeat_on_deadlock(partial(_round, run_id, now=now)):
            break
        done = True
    return done


@transaction.atomic
def _round(run_id: int, *, now: datetime) -> bool:
    rows = PlaybookRun.objects.select_related("tenant", "started_by")
    running = rows.filter(pk=run_id, status=RunStatus.RUNNING)
    run = running.select_for_update(skip_locked=True, no_key=True, of=("self",)).first()
    if run is None:
        return False
    program = compile_steps(run.steps)
    started = start_members(run, limit=_allowance(run, now), now=now)
    ended = _do_due(run, program, now)
    if ended:
        record(run, program, ended, now=now)
        close_if_over(run, now=now)
    return bool(started or ended)


def _do_due(run: PlaybookRun, program: dict[int, Step], now: datetime) -> list[Ended]:
    due = PlaybookStep.objects.filter(run=run, due_at__lte=now, status__in=OPEN)
    first = list(due.select_related("member").order_by("due_at", "pk")[:BATCH])
    first.sort(key=lambda row: row.number)
    ended: list[Ended] = []
    for number, rows in groupby(first, key=lambda row: row.number):
        ended += do_step(Look(run, program[number], list(rows), now))
    return ended


def _allowance(run: PlaybookRun, now: datetime) -> int:
    """Return how many devices may start now, spread evenly over the minute."""
    started = PlaybookRunDevice.objects.filter(run=run, is_started=True).count()
    if started >= run.device_count:
        return 0
    elapsed = (now - run.started_at).total_seconds()
    allowed = math.ceil(run.rate_per_minute * (1 + max(0.0, elapsed)) / 60)
    return max(0, min(BATCH, allowed - started))
