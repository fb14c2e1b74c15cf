"""Runs of playbooks: started, answered, skipped, retried and stopped by people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from console.choices import RunStatus, StepKind, StepStatus
from console.exceptions import NoSuchRun, RunRefused
from console.models import Playbook, PlaybookRun, PlaybookRunDevice, PlaybookStep
from console.services.playbooks.progress import (
    Ended,
    close_if_over,
    end_questions,
    record,
)
from console.validation import Step, compile_steps
from fleet.exceptions import QueryError
from fleet.selectors.search import Member, list_members
from iotplatform.common import bulk_sql
from iotplatform.common.problems import BadInput
from iotplatform.common.row_lock import get_locked

if TYPE_CHECKING:
    from console.selectors.playbooks import AnyPlaybook
    from registry.models import Device, Tenant, User

# Devices that start in a minute, if nobody says otherwise.
USUAL_RATE, HIGHEST_RATE = 1_000, 60_000
OPEN = (StepStatus.WAITING, StepStatus.RUNNING)
_ADD_DEVICES = f"""
    INSERT INTO console_playbookrundevice (tenant_id, run_id, device_id, uid)
    SELECT %s, %s, v.device_id, v.uid
    FROM {bulk_sql.unnest(PlaybookRunDevice, "device_id", "uid")}
"""


@dataclass(frozen=True)
class RunRequest:
    """On what a playbook is to run: one device, or all that match a query."""

    tenant: Tenant  # with the member limit of who asks
    playbook: AnyPlaybook
    device: Device | None = None
    query: str = ""
    rate_per_minute: int = USUAL_RATE


@transaction.atomic
def start_run(request: RunRequest, *, actor: User) -> PlaybookRun:
    """Freeze the devices and start; raises BadInput, QueryError, IndexUnavailable.

    The sweep does the steps; later changes of the playbook do not touch the run.
    """
    members = _members(request)
    own = request.playbook if isinstance(request.playbook, Playbook) else None
    run = PlaybookRun.objects.create(
        tenant=request.tenant,
        playbook=own,
        name=request.playbook.name,
        version=request.playbook.version,
        steps=request.playbook.steps,
        query=request.query,
        rate_per_minute=request.rate_per_minute,
        started_by=actor,
        started_at=timezone.now(),
        device_count=len(members),
    )
    rows = [(member.device_id, member.uid) for member in members]
    arrays = bulk_sql.columns_of(rows, 2)
    bulk_sql.run(_ADD_DEVICES, [request.tenant.pk, run.pk, *arrays])
    return run


@transaction.atomic
def answer_step(run: PlaybookRun, number: int, answer: str, *, by: User) -> PlaybookRun:
    """Answer for all devices that wait at a question.

    Raises NoSuchRun (no such step), BadInput (the answer is not offered), RunRefused
    (no device waits there).
    """
    locked, program, step = _locked_at(run, number)
    if step.kind != StepKind.ASK:
        raise RunRefused(f"Step {number} asks nobody: it is '{step.kind.label}'.")
    if answer not in step.body["answers"]:
        offered = ", ".join(step.body["answers"])
        raise BadInput(answer=f"One of: {offered}.")
    rows = _rows(locked, number, StepStatus.WAITING)
    now = timezone.now()
    result = {"answer": answer, "by": by.get_username()}
    _close_question(locked, number, result, now)
    ended = [Ended(row, StepStatus.SUCCEEDED, result, step.next) for row in rows]
    return _recorded(locked, program, ended, now)


@transaction.atomic
def skip_step(run: PlaybookRun, number: int, *, by: User) -> PlaybookRun:
    """Let all devices that are at a step go on without its end.

    What was sent stays sent. Raises NoSuchRun, RunRefused.
    """
    locked, program, step = _locked_at(run, number)
    rows = _rows(locked, number, *OPEN)
    now = timezone.now()
    if step.kind == StepKind.ASK:
        nothing = {"answer": None, "by": by.get_username()}
        _close_question(locked, number, nothing, now)
    following = step.otherwise if step.kind == StepKind.BRANCH else step.next
    ended = [Ended(row, StepStatus.SKIPPED, _by(row, by), following) for row in rows]
    return _recorded(locked, program, ended, now)


@transaction.atomic
def retry_step(run: PlaybookRun, number: int, *, by: User) -> PlaybookRun:
    """Do a failed step again for the devices that it ended; a command is a new one.

    Raises NoSuchRun, RunRefused (no device failed there, or the run was stopped).
    """
    locked, _, _ = _locked_at(run, number, also=(RunStatus.COMPLETED,))
    rows = _rows(locked, number, StepStatus.FAILED)
    now = timezone.now()
    for row in rows:
        row.status, row.result, row.command = StepStatus.RUNNING, None, None
        row.due_at, row.at, row.tries = now, now, row.tries + 1
    PlaybookStep.objects.bulk_update(
        rows, ["status", "result", "command", "due_at", "at", "tries"], batch_size=500
    )
    members = [row.member_id for row in rows]
    PlaybookRunDevice.objects.filter(pk__in=members).update(ended_at=None)
    locked.status, locked.ended_at = RunStatus.RUNNING, None
    locked.save(update_fields=["status", "ended_at"])
    return locked


@transaction.atomic
def stop_run(run: PlaybookRun, *, by: User) -> PlaybookRun:
    """Stop a run: nothing more is sent, and its questions leave the queue.

    What was sent goes on. Raises RunRefused for a run that has ended.
    """
    locked, program = _locked(run)
    now = timezone.now()
    open_steps = PlaybookStep.objects.filter(run=locked, status__in=OPEN)
    open_steps.update(status=StepStatus.SKIPPED, due_at=None, at=now)
    PlaybookRunDevice.objects.filter(run=locked, ended_at=None).update(ended_at=now)
    asks = [step.number for step in program.values() if step.kind == StepKind.ASK]
    end_questions(locked, asks, now=now)
    locked.status, locked.ended_at = RunStatus.STOPPED, now
    locked.save(update_fields=["status", "ended_at"])
    return locked


def _members(request: RunRequest) -> list[Member]:
    if request.device is not None:
        return [Member(request.device.pk, request.device.uid)]
    try:
        found = list_members(tenants=[request.tenant], q=request.query).members
    except QueryError as error:
        raise error.about("query") from error
    if not found:
        raise BadInput(query="No device matches.")
    return found


def _locked(
    run: PlaybookRun, *, also: tuple[RunStatus, ...] = ()
) -> tuple[PlaybookRun, dict[int, Step]]:
    """Lock a run that goes on, or that has one of ``also``; raises RunRefused."""
    rows = PlaybookRun.objects.select_related("tenant", "started_by", "playbook")
    locked = get_locked(rows, pk=run.pk)
    if locked.status not in (RunStatus.RUNNING, *also):
        raise RunRefused(f"The run is {locked.get_status_display()}.")
    return locked, compile_steps(locked.steps)


def _locked_at(
    run: PlaybookRun, number: int, *, also: tuple[RunStatus, ...] = ()
) -> tuple[PlaybookRun, dict[int, Step], Step]:
    """Lock a run for a change at one step; raises NoSuchRun without such a step."""
    if number not in compile_steps(run.steps):
        raise NoSuchRun(f"The run has no step {number}.")
    locked, program = _locked(run, also=also)
    return locked, program, program[number]


def _rows(run: PlaybookRun, number: int, *statuses: StepStatus) -> list[PlaybookStep]:
    """Return the steps with this number in these statuses; raises RunRefused."""
    rows = PlaybookStep.objects.filter(run=run, number=number, status__in=statuses)
    found = list(rows.order_by("pk"))
    told = [each for each in run.answers if each["step"] == number]
    if not found and told and StepStatus.WAITING in statuses:
        said = told[-1]["answer"] or StepStatus.SKIPPED.label
        raise RunRefused(f"{told[-1]['by']} was first: {said}.")
    if not found:
        words = " or ".join(status.label for status in statuses)
        raise RunRefused(f"At step {number} no device is {words}.")
    return found


def _close_question(
    run: PlaybookRun, number: int, answer: dict[str, Any], now: datetime
) -> None:
    """Take a question out of the queue; who comes to it later asks anew."""
    end_questions(run, [number], now=now)
    run.answers.append({"step": number, "at": now.isoformat(), **answer})
    run.save(update_fields=["answers"])


def _recorded(
    run: PlaybookRun, program: dict[int, Step], ended: list[Ended], now: datetime
) -> PlaybookRun:
    record(run, program, ended, now=now)
    close_if_over(run, now=now)
    return run


def _by(row: PlaybookStep, person: User) -> dict[str, Any]:
    return {**(row.result or {}), "skipped_by": person.get_username()}
