"""A gateway with a child behind it: which of them may be updated next.

Everything is judged by the firmware that both report. A member gets its command only
if what it leads to is allowed beside the other one, so that a failure at any step
leaves the two in a combination that is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

COMBINATIONS_SCHEMA: dict[str, Any] = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "items": {
        "type": "object",
        "properties": {
            "gateway": {"type": "string", "minLength": 1, "maxLength": 64},
            "children": {"type": "string", "minLength": 1, "maxLength": 64},
        },
        "required": ["gateway", "children"],
        "additionalProperties": False,
    },
}

Allowed = frozenset[tuple[str, str]]


class Turn(Enum):
    """Which half of a pair is updated first."""

    GATEWAY = "gateway"
    CHILD = "child"
    NEVER = "never"  # every order leaves what is allowed


@dataclass(frozen=True, slots=True)
class Pair:
    """A gateway and one child: what they report, and what the job gives them, if so."""

    gateway: str
    child: str
    gateway_next: str | None
    child_next: str | None


def allowed_of(rollout: Mapping[str, Any]) -> Allowed:
    """Return the combinations of a rollout; empty: it declares none."""
    return frozenset(
        (each["gateway"], each["children"])
        for each in rollout.get("combinations") or []
    )


def combination_errors(declared: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return what is wrong with combinations that have the right shape."""
    seen: set[tuple[str, str]] = set()
    errors = []
    for number, each in enumerate(declared):
        key = each["gateway"], each["children"]
        if key in seen:
            field = f"rollout.combinations.{number}"
            errors.append({"field": field, "message": "This combination is twice."})
        seen.add(key)
    return errors


def turn_of(pair: Pair, allowed: Allowed) -> Turn:
    """Return which half comes first on the way to what they get."""
    gateway_may = (pair.gateway_next, pair.child) in allowed
    child_may = (pair.gateway, pair.child_next) in allowed
    if pair.child_next is None:
        return Turn.GATEWAY if gateway_may else Turn.NEVER
    if pair.gateway_next is None:
        return Turn.CHILD if child_may else Turn.NEVER
    if (pair.gateway_next, pair.child_next) not in allowed:
        return Turn.NEVER
    if gateway_may:
        return Turn.GATEWAY
    return Turn.CHILD if child_may else Turn.NEVER


def place_in_order(
    waves: Mapping[int, int], turns: Mapping[int, Mapping[int, Turn]]
) -> dict[int, int]:
    """Return the waves of members so that of each system the first half comes first.

    ``turns`` are, by gateway, the turns of its children that are members. The earliest
    waves of a system go to its first half; who would share a wave with what it must
    wait for comes after all others.
    """
    placed = dict(waves)
    last = max(placed.values(), default=0)
    for gateway in sorted(turns):
        children = sorted(turns[gateway].items())
        before = [pk for pk, turn in children if turn == Turn.CHILD and pk in waves]
        after = [pk for pk, turn in children if turn != Turn.CHILD and pk in waves]
        if gateway not in waves:
            continue
        order = [*before, gateway, *after]
        free = sorted(waves[pk] for pk in order)
        placed.update(zip(order, free, strict=True))
        if before and placed[gateway] <= max(placed[pk] for pk in before):
            placed[gateway] = last + 1
        for pk in after:
            if placed[pk] <= placed[gateway]:
                placed[pk] = max(placed[gateway], last) + 1
    return placed
