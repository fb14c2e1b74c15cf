"""The steps of a playbook: their form, their numbers, and which comes after which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from console.choices import StepKind

MOST_STEPS = 50
DEEPEST = 3  # branches within branches
LONGEST_TEXT = 2_000
LONGEST_WAIT = 7 * 24 * 3_600  # seconds
MOST_ANSWERS, LONGEST_ANSWER = 20, 100
END = 0  # the number after the last step

Error = dict[str, str]
# What each kind has besides its kind; all of it is needed, but of a branch either side.
FIELDS: dict[str, tuple[str, ...]] = {
    StepKind.CHECK: ("query",),
    StepKind.SEND: ("command",),
    StepKind.WAIT: ("seconds",),
    StepKind.ASK: ("question", "answers"),
    StepKind.NOTE: ("text",),
    StepKind.BRANCH: ("query", "then", "else"),
    StepKind.ESCALATE: ("text",),
}
SIDES = ("then", "else")


@dataclass(frozen=True)
class Step:
    """A step of a run. Numbers begin with 1, those inside a branch count along."""

    number: int
    kind: StepKind
    body: dict[str, Any]
    next: int  # END: none
    then: int = END
    otherwise: int = END


def step_errors(steps: Any) -> list[Error]:
    """Return what is wrong with the form of steps; queries and commands not included.

    An error names ``steps.n`` (n from 0, as in every list of a body) for what is no
    step, ``steps.n.field`` for a wrong field, ``steps.n.then.m`` inside a branch.
    """
    if not isinstance(steps, list) or not steps:
        return [_error("steps", "A list of one step or more.")]
    found = list(_block_errors(steps, "steps", 1))
    if not found and _size(steps) > MOST_STEPS:
        found = [_error("steps", f"At most {MOST_STEPS} steps.")]
    return found or list(_jump_errors(steps))


def compile_steps(steps: list[dict[str, Any]]) -> dict[int, Step]:
    """Return the steps by number, those of branches among them."""
    last = _size(steps)
    return {step.number: step for step in _compiled(steps, 1, END, last)}


def walk_steps(
    steps: list[dict[str, Any]], at: str = "steps"
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every step with its place, those of branches among them."""
    for index, step in enumerate(steps):
        yield f"{at}.{index}", step
        for side in SIDES:
            if isinstance(step.get(side), list):
                yield from walk_steps(step[side], f"{at}.{index}.{side}")


def _compiled(
    block: list[dict[str, Any]], number: int, after: int, last: int
) -> Iterator[Step]:
    for index, step in enumerate(block):
        following = number + _size([step])
        next_ = following if index + 1 < len(block) else after
        body = {k: v for k, v in step.items() if k not in ("kind", *SIDES)}
        kind = StepKind(step["kind"])
        inner = number + 1
        targets = {}
        for side in SIDES if kind == StepKind.BRANCH else ():
            way = step.get(side)
            if isinstance(way, list) and way:
                targets[side] = inner
                yield from _compiled(way, inner, next_, last)
                inner += _size(way)
            elif isinstance(way, int):
                targets[side] = way if way <= last else END
            else:
                targets[side] = next_
        then, otherwise = targets.get("then", END), targets.get("else", END)
        yield Step(number, kind, body, next_, then, otherwise)
        number = following


def _size(block: list[Any]) -> int:
    """Return how many steps a block has, those of its branches among them."""
    return sum(
        1 + sum(_size(step[side]) for side in SIDES if isinstance(step.get(side), list))
        for step in block
    )


def _block_errors(block: list[Any], at: str, depth: int) -> Iterator[Error]:
    for index, step in enumerate(block):
        place = f"{at}.{index}"
        kind = step.get("kind") if isinstance(step, dict) else None
        if not isinstance(kind, str) or kind not in FIELDS:
            kinds = ", ".join(FIELDS)
            yield _error(place, f"A step has one of these kinds: {kinds}.")
            continue
        known = {"kind", *FIELDS[kind]}
        yield from (
            _error(f"{place}.{name}", "There is no such field.")
            for name in map(str, step)
            if name not in known
        )
        for name in FIELDS[kind]:
            if name in SIDES:
                yield from _side_errors(step.get(name), f"{place}.{name}", depth)
            elif problem := _problem(name, step.get(name)):
                yield _error(f"{place}.{name}", problem)


def _side_errors(way: Any, place: str, depth: int) -> Iterator[Error]:
    if isinstance(way, list):
        if depth >= DEEPEST:
            yield _error(place, f"Branches are at most {DEEPEST} deep.")
        else:
            yield from _block_errors(way, place, depth + 1)
    elif way is not None and (not isinstance(way, int) or isinstance(way, bool)):
        text = "A list of steps, the number of a later step, or null: the next step."
        yield _error(place, text)


def _jump_errors(steps: list[dict[str, Any]]) -> Iterator[Error]:
    """Yield jumps that are not forward: so every run ends."""
    last = _size(steps)
    for number, (place, step) in enumerate(walk_steps(steps), start=1):
        for side in SIDES:
            way = step.get(side)
            if isinstance(way, int) and not number < way <= last + 1:
                text = f"The number of a later step, at most {last + 1} (the end)."
                yield _error(f"{place}.{side}", text)


def _problem(name: str, value: Any) -> str:
    """Return what is wrong with a field of a step; empty if nothing."""
    if name == "seconds":
        good = isinstance(value, int) and not isinstance(value, bool)
        good = good and 1 <= value <= LONGEST_WAIT
        return "" if good else f"A whole number, 1 to {LONGEST_WAIT:,}."
    if name == "command":
        good = isinstance(value, dict) and isinstance(value.get("name"), str)
        good = good and not value.keys() - {"name", "params", "policy"}
        return "" if good else "An object with name, and perhaps params and policy."
    if name == "answers":
        return (
            ""
            if _are_answers(value)
            else (
                f"1 to {MOST_ANSWERS} different texts of at most {LONGEST_ANSWER}"
                " characters."
            )
        )
    good = isinstance(value, str) and bool(value.strip()) and "\0" not in value
    good = good and len(value) <= LONGEST_TEXT
    return "" if good else f"1 to {LONGEST_TEXT:,} characters."


def _are_answers(value: Any) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_ANSWERS:
        return False
    texts = all(
        isinstance(v, str) and v.strip() and len(v) <= LONGEST_ANSWER and "\0" not in v
        for v in value
    )
    return texts and len(set(value)) == len(value)


def _error(field: str, message: str) -> Error:
    return {"field": field, "message": message}
