"""How devices come from step to step: what ended is written, what follows is entered.

The caller has locked the run's row: the sweep and people change a run one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.choices import RunStatus, StepKind, StepStatus
from console.models import PlaybookRun, PlaybookRunDevice, PlaybookStep
from console.validation import END, Step, compile_steps
from iotplatform.common import bulk_sql
from state.services.attention import end_attention

_WRITE_STEPS = bulk_sql.update_by_key(
    PlaybookStep, "status", "due_at", "command", "result", "at"
)
_ENTER_COLUMNS = (
    *("tenant_id", "run_id", "member_id", "number", "status", "due_at", "at"),
)
_ENTER = bulk_sql.insert_rows(PlaybookStep, *_ENTER_COLUMNS)
_MOVE_MEMBERS = bulk_sql.update_by_key(
    PlaybookRunDevice, "position", "ended_at", "is_started"
)


@dataclass(frozen=True)
class Ended:
    """The end of a device's step, and the step that it enters then."""

    row: PlaybookStep
    status: StepStatus
    result: dict[str, Any] | None
    following: int  # END: none


def ask_episode(run: PlaybookRun, number: int) -> str:
    """Return the episode of a question in the attention inbox.

    Devices that come to a step after its answer need another answer.
    """
    answered = sum(each["step"] == number for each in run.answers)
    return f"ask:{number}:{answered}"


def enter(
    run: PlaybookRun, member_ids: Collection[int], step: Step, *, now: datetime
) -> None:
    """Let devices enter a step, in one statement."""
    is_waiting = step.kind in (StepKind.WAIT, StepKind.ASK)
    status = StepStatus.WAITING if is_waiting else StepStatus.RUNNING
    due_at = now
    if step.kind == StepKind.WAIT:
        due_at += timedelta(seconds=step.body["seconds"])
    same = (step.number, status.value, due_at, now)
    rows = [(run.tenant_id, run.pk, pk, *same) for pk in member_ids]
    if rows:
        bulk_sql.run(_ENTER, bulk_sql.columns_of(rows, len(_ENTER_COLUMNS)))


def write_steps(rows: Sequence[PlaybookStep]) -> None:
    """Write what changes of these steps, in one statement."""
    written = [
        (row.pk, row.status, row.due_at, row.command, _json(row.result), row.at)
        for row in rows
    ]
    if written:
        bulk_sql.run(_WRITE_STEPS, bulk_sql.columns_of(written, 6))


def record(
    run: PlaybookRun,
    program: Mapping[int, Step],
    ended: Sequence[Ended],
    *,
    now: datetime,
) -> None:
    """Write the ends of steps, and let their devices enter what follows.

    A failed step ends the run of its device.
    """
    moved: dict[int, list[int]] = {}
    for each in ended:
        each.row.status, each.row.result = each.status, each.result
        each.row.due_at, each.row.at = None, now
        failed = each.status == StepStatus.FAILED
        to = END if failed else each.following
        moved.setdefault(to, []).append(each.row.member_id)
    write_steps([each.row for each in ended])
    positions = {each.row.member_id: each.row.number for each in ended}
    members = []
    for number, member_ids in moved.items():
        is_end = number == END
        if not is_end:
            enter(run, member_ids, program[number], now=now)
        members += [
            (pk, positions[pk] if is_end else number, now if is_end else None, True)
            for pk in member_ids
        ]
    members.sort()
    if members:
        bulk_sql.run(_MOVE_MEMBERS, bulk_sql.columns_of(members, 4))


def close_if_over(run: PlaybookRun, *, now: datetime) -> None:
    """Complete a run that has no device left."""
    if not PlaybookRunDevice.objects.filter(run=run, ended_at=None).exists():
        run.status, run.ended_at = RunStatus.COMPLETED, now
        run.save(update_fields=["status", "ended_at"])


def start_members(run: PlaybookRun, *, limit: int, now: datetime) -> int:
    """Let so many devices that wait for their start enter the first step."""
    waiting = PlaybookRunDevice.objects.filter(
        run=run, is_started=False, ended_at=None
    ).order_by("pk")
    ids = list(waiting.values_list("pk", flat=True)[:limit])
    enter(run, ids, compile_steps(run.steps)[1], now=now)
    rows = PlaybookRunDevice.objects.filter(pk__in=ids)
    return rows.update(is_started=True, position=1)


def end_questions(run: PlaybookRun, numbers: Collection[int], *, now: datetime) -> None:
    """Close the work items of these steps' questions; an escalation stays."""
    episodes = [ask_episode(run, number) for number in numbers]
    end_attention([run.public_id], at=now, episodes=episodes)


def _json(result: Any) -> str | None:
    return None if result is None else json.dumps(result)
