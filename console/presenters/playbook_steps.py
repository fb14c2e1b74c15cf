"""Steps of a playbook in words, and how far the devices of a run are with each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from console.choices import StepKind, StepStatus
from console.presenters.labels import duration
from console.validation import END, Step, compile_steps

S = StepStatus
# The chip of each status, in the colours of jobs.
CHIPS = {
    S.WAITING: "waiting",
    S.RUNNING: "running",
    S.SUCCEEDED: "done",
    S.FAILED: "halted",
    S.SKIPPED: "plain",
}


@dataclass(frozen=True)
class StepLine:
    """One step as a page shows it."""

    number: int
    kind: str
    text: str
    counts: list[tuple[str, str, int]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)  # while devices wait for one
    may_skip: bool = False
    may_retry: bool = False


def present_steps(
    steps: list[dict[str, Any]], counts: Mapping[int, Mapping[str, int]] | None = None
) -> list[StepLine]:
    """Return the steps in words, with the counts of a run by number and status."""
    program = compile_steps(steps)
    return [
        _line(program[number], (counts or {}).get(number, {}))
        for number in sorted(program)
    ]


def _line(step: Step, counts: Mapping[str, int]) -> StepLine:
    waits = counts.get(S.WAITING, 0)
    asks = step.kind == StepKind.ASK and waits
    return StepLine(
        number=step.number,
        kind=step.kind.label,
        text=step_text(step),
        counts=[(CHIPS[s], s.label, counts[s]) for s in S if counts.get(s)],
        answers=list(step.body["answers"]) if asks else [],
        may_skip=bool(waits or counts.get(S.RUNNING)),
        may_retry=bool(counts.get(S.FAILED)),
    )


def step_text(step: Step) -> str:
    """Return what a step does, in words."""
    body = step.body
    if step.kind == StepKind.SEND:
        params = body["command"].get("params")
        shown = f" {json.dumps(params, ensure_ascii=False)}" if params else ""
        return f"{body['command']['name']}{shown}"
    if step.kind == StepKind.WAIT:
        return duration(body["seconds"])
    if step.kind == StepKind.ASK:
        return f"{body['question']} ({' / '.join(body['answers'])})"
    if step.kind == StepKind.BRANCH:
        then, otherwise = _to(step.then), _to(step.otherwise)
        return f"{body['query']} → {then}, else {otherwise}"
    return str(body.get("query") or body.get("text"))


def _to(number: int) -> str:
    return "the end" if number == END else f"step {number}"
