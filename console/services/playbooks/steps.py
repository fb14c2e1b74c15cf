"""What each kind of step does, for all devices of a run that are at it.

Every effect is written in the transaction that records it, and a command goes out under
a key of its run, device and step besides: what is done again does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from commands.selectors.outcomes import find_outcomes
from commands.services.bulk_requests import BulkRequest, request_commands
from console.choices import StepKind, StepStatus
from console.models import PlaybookRun, PlaybookStep
from console.services.playbooks.progress import Ended, ask_episode, write_steps
from console.validation import Step
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.selectors.blindness import has_indexed, is_blind
from fleet.selectors.matching import find_matching
from iotplatform.common.counts import counted
from state.choices import AttentionKind, AttentionObject
from state.services.attention import Attention, ask_for_attention

# How soon an unfinished step is looked at again.
LOOK_AGAIN = timedelta(seconds=1)
# Commands of a run that may be under way at a time, as of a job.
MOST_IN_FLIGHT = 500
DONE, FAILED = StepStatus.SUCCEEDED, StepStatus.FAILED


@dataclass(frozen=True)
class Look:
    """One look of the sweep at a run; ``rows`` of a look are all at one step."""

    run: PlaybookRun
    step: Step
    rows: Sequence[PlaybookStep]  # each with its member
    now: datetime

    def ended(
        self, row: PlaybookStep, status: StepStatus, result: dict[str, Any] | None
    ) -> Ended:
        return Ended(row, status, result, self.step.next)

    def all_ended(self, result: dict[str, Any] | None) -> list[Ended]:
        return [self.ended(row, DONE, result) for row in self.rows]

    def postpone(self, rows: Sequence[PlaybookStep]) -> list[Ended]:
        """Look at these again soon; nothing has ended."""
        for row in rows:
            row.due_at = self.now + LOOK_AGAIN
        write_steps(rows)
        return []

    @property
    def name(self) -> str:
        return f"playbook {self.run.name}, step {self.step.number}"


def do_step(look: Look) -> list[Ended]:
    """Do a step for all devices that are due at it; return which have ended it."""
    return _DOES[look.step.kind](look)


def _judge(look: Look) -> list[Ended]:
    """Search once for all devices; wait while the index is not up to date."""
    newest = max(row.at for row in look.rows)
    if is_blind() or not has_indexed(newest):
        return look.postpone(look.rows)
    ids = [row.member.device_id for row in look.rows]
    query = look.step.body["query"]
    try:
        found = find_matching(tenants=[look.run.tenant], q=query, device_ids=ids)
    except IndexUnavailable:
        return look.postpone(look.rows)
    except QueryError as error:  # what it names is gone
        result = {"error": error.message}
        return [look.ended(row, FAILED, result) for row in look.rows]
    return [_judged(look, row, row.member.device_id in found) for row in look.rows]


def _judged(look: Look, row: PlaybookStep, matches: bool) -> Ended:
    result = {"matches": matches}
    if look.step.kind == StepKind.BRANCH:
        way = look.step.then if matches else look.step.otherwise
        return Ended(row, DONE, result, way)
    return look.ended(row, DONE if matches else FAILED, result)


def _send(look: Look) -> list[Ended]:
    unsent = [row for row in look.rows if row.command is None]
    under_way = [row for row in look.rows if row.command is not None]
    return _follow(look, under_way) + (_request(look, unsent) if unsent else [])


def _request(look: Look, rows: Sequence[PlaybookStep]) -> list[Ended]:
    room = max(0, MOST_IN_FLIGHT - _in_flight(look.run))
    now_sent, later = rows[:room], rows[room:]
    look.postpone(later)
    if not now_sent:
        return []
    run, command = look.run, look.step.body["command"]
    answers = request_commands(
        BulkRequest(
            tenant=run.tenant,
            keys={row.member.device_id: key_of(run, row) for row in now_sent},
            name=command["name"],
            params=command.get("params", {}),
            policy=command.get("policy"),
            actor=run.started_by,
            cause=f"requested by {look.name}",
            now=look.now,
        )
    )
    ended, sent = [], []
    for row in now_sent:
        answer = answers.get(row.member.device_id)
        if answer is None:
            continue  # another request has its key just now: the next look finds it
        if answer.refusal:
            ended.append(look.ended(row, FAILED, {"error": answer.refusal}))
            continue
        row.command, row.result = answer.command, {"command": str(answer.command)}
        sent.append(row)
    look.postpone(sent)
    return ended


def _follow(look: Look, rows: Sequence[PlaybookStep]) -> list[Ended]:
    """See which commands have ended."""
    outcomes = find_outcomes([row.command for row in rows if row.command])
    ended, open_rows = [], []
    for row in rows:
        outcome = row.command and outcomes.get(row.command)
        if not outcome:
            open_rows.append(row)
            continue
        result = {"command": str(row.command), "status": outcome.status}
        if outcome.failure_class:
            result["failure_class"] = outcome.failure_class
        ended.append(look.ended(row, DONE if outcome.is_success else FAILED, result))
    look.postpone(open_rows)
    return ended


def key_of(run: PlaybookRun, row: PlaybookStep) -> str:
    """Return the idempotency key of what a step sends to a device."""
    again = f":{row.tries}" if row.tries else ""
    return f"playbook:{run.public_id}:{row.member.uid}:{row.number}{again}"


def _in_flight(run: PlaybookRun) -> int:
    rows = PlaybookStep.objects.filter(run=run, due_at__isnull=False)
    return rows.filter(command__isnull=False).count()


def _wait(look: Look) -> list[Ended]:
    return look.all_ended(None)  # its due time has come


def _note(look: Look) -> list[Ended]:
    return look.all_ended({"text": look.step.body["text"]})


def _ask(look: Look) -> list[Ended]:
    """Make one work item for all devices that wait here."""
    episode = ask_episode(look.run, look.step.number)
    _need_person(look, episode, look.step.body["question"])
    for row in look.rows:
        row.due_at = None
    write_steps(look.rows)
    return []


def _escalate(look: Look) -> list[Ended]:
    text = look.step.body["text"]
    _need_person(look, f"escalate:{look.step.number}", text)
    return look.all_ended({"text": text})


def _need_person(look: Look, episode: str, text: str) -> None:
    run = look.run
    is_one = run.device_count == 1
    where = "" if is_one else f" ({counted(run.device_count, 'device')} in this run)"
    asked = Attention(
        tenant_id=run.tenant_id,
        kind=AttentionKind.PLAYBOOK_STEP,
        object_kind=AttentionObject.PLAYBOOK_RUN,
        object_id=run.public_id,
        episode=episode,
        device_id=look.rows[0].member.device_id if is_one else None,
        reason=f"{text}{where}",
        at=look.now,
    )
    ask_for_attention([asked])


_DOES: dict[StepKind, Callable[[Look], list[Ended]]] = {
    StepKind.CHECK: _judge,
    StepKind.BRANCH: _judge,
    StepKind.SEND: _send,
    StepKind.WAIT: _wait,
    StepKind.ASK: _ask,
    StepKind.NOTE: _note,
    StepKind.ESCALATE: _escalate,
}
