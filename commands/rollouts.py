"""The rollout of a job: the check of a request, and the waves that it plans."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.definitions import UPDATE_FIRMWARE
from commands.exceptions import InvalidRollout
from commands.judgment.combinations import COMBINATIONS_SCHEMA, combination_errors
from commands.judgment.health_gate import (
    HEALTH_GATE_SCHEMA,
    complete_gate,
    gate_errors,
)
from commands.validation import schema_errors
from commands.windows import WINDOW_SCHEMA
from iotplatform.common.counts import counted
from iotplatform.common.instants import NOT_AN_INSTANT, read_instant

DAY = 86_400
MAX_WAVES = 1_000
MAX_MEMBERS = 1_000_000
# So many members of a job may be without an answer: a failure threshold is overshot by
# no more, and a real-time command has no longer queue in front of it.
MAX_IN_FLIGHT = 500
# What nobody approved by then expires; nor does an approval hold any longer.
APPROVAL_LAPSES_AFTER = timedelta(days=7)
# The database can store earlier ones, but Python cannot read them back.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(3000, 1, 1, tzinfo=UTC)

_count = {"type": ["integer", "null"], "minimum": 1, "maximum": MAX_MEMBERS}
_share = {"type": "number", "minimum": 0, "maximum": 1}
ROLLOUT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "canary": {"type": ["number", "null"], "minimum": 0, "maximum": MAX_MEMBERS},
        "wave_size": _count,
        "waves": {
            "type": ["array", "null"],
            "minItems": 1,
            "maxItems": MAX_WAVES,
            "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        },
        "rate_per_minute": _count,
        "soak_seconds": {"type": "integer", "minimum": 0, "maximum": 30 * DAY},
        "min_ended": {"type": "integer", "minimum": 1, "maximum": MAX_MEMBERS},
        "success_threshold": _share,
        "failure_threshold": _share,
        "start_at": {"type": ["string", "null"]},
        "deadline": {"type": ["string", "null"]},
        "window": WINDOW_SCHEMA,
        "offline": {"enum": ["wait", "skip"]},
        "approval": {"type": "boolean"},
        "max_in_flight": {"type": "integer", "minimum": 1, "maximum": 5_000},
        "health_gate": HEALTH_GATE_SCHEMA,
        "combinations": COMBINATIONS_SCHEMA,
    },
    "additionalProperties": False,
}
DEFAULTS: dict[str, Any] = {
    "canary": None,
    "wave_size": None,
    "waves": None,
    "rate_per_minute": None,
    "soak_seconds": 0,
    "min_ended": 10,
    "success_threshold": 0.8,
    "failure_threshold": 0.2,
    "start_at": None,
    "deadline": None,
    "window": None,
    "offline": "wait",
    "approval": False,
    "max_in_flight": MAX_IN_FLIGHT,
    "health_gate": None,
    "combinations": None,
}


@dataclass(frozen=True)
class PlannedWave:
    """One stage: its number (0 is the canary) and its number of members."""

    number: int
    size: int

    @property
    def is_canary(self) -> bool:
        return self.number == 0


def complete_rollout(rollout: Any, *, now: datetime) -> dict[str, Any]:
    """Return the rollout with defaults; raises InvalidRollout with the field."""
    rollout = {} if rollout is None else rollout
    errors = schema_errors(ROLLOUT_SCHEMA, rollout, field="rollout")
    if errors:
        raise InvalidRollout(errors=errors)
    complete = {**DEFAULTS, **rollout}
    if errors := gate_errors(complete["health_gate"]):
        raise InvalidRollout(errors=errors)
    if errors := combination_errors(complete["combinations"] or []):
        raise InvalidRollout(errors=errors)
    complete["health_gate"] = complete_gate(complete["health_gate"])
    if complete["wave_size"] and complete["waves"]:
        _refuse("waves", "Give wave_size or waves, not both.")
    canary = complete["canary"] or 0
    if canary > 1 and canary != int(canary):
        _refuse("canary", "A whole number of devices, or a share between 0 and 1.")
    if sum(complete["waves"] or []) > 1 + 1e-9:
        _refuse("waves", "The shares add up to more than 1.")
    window = complete["window"]
    if window and window["from"] == window["to"]:
        _refuse("window", "It begins and ends at the same time.")
    start_at = instant(complete["start_at"], field="start_at")
    deadline = instant(complete["deadline"], field="deadline")
    if deadline is not None and deadline <= max(now, start_at or now):
        _refuse("deadline", "Must be in the future, and after start_at.")
    return complete


def refuse_combinations(rollout: Mapping[str, Any], command_name: str) -> None:
    """Raise InvalidRollout for combinations with a command that updates nothing."""
    if rollout["combinations"] and command_name != UPDATE_FIRMWARE:
        _refuse("combinations", f"Only for the command {UPDATE_FIRMWARE}.")


def instant(text: str | None, *, field: str) -> datetime | None:
    """Parse an RFC 3339 instant of a rollout; raises InvalidRollout."""
    if text is None:
        return None
    found = read_instant(text)
    if found is None:
        _refuse(field, NOT_AN_INSTANT)
    elif not EARLIEST <= found < LATEST:
        _refuse(field, f"A time in the years {EARLIEST.year} to {LATEST.year - 1}.")
    return found


def plan_waves(count: int, rollout: Mapping[str, Any]) -> list[PlannedWave]:
    """Divide ``count`` members into the canary and the waves after it.

    Raises InvalidRollout for a canary that is larger than the set.
    """
    canary = _canary_size(count, rollout["canary"])
    if canary > count > 0:
        members = counted(count, "device")
        _refuse("canary", f"{canary:,} is more than the {members} of the set.")
    canary = min(canary, count)
    sizes = _wave_sizes(count - canary, rollout)
    if len(sizes) > MAX_WAVES:
        _refuse("wave_size", f"This makes {len(sizes)} waves; at most {MAX_WAVES}.")
    waves = [PlannedWave(number, size) for number, size in enumerate(sizes, start=1)]
    return [PlannedWave(0, canary), *waves] if canary else waves


def place_members(
    ids: Sequence[int],
    rollout: Mapping[str, Any],
    *,
    seed: str,
    gateways: Mapping[int, int],
) -> tuple[list[PlannedWave], dict[int, int]]:
    """Return the waves, and the wave of each member in the order of the hand-out.

    ``gateways`` are the gateways of members by child, where both are members: they are
    never in the same wave. Raises InvalidRollout as ``plan_waves``.
    """
    waves = plan_waves(len(ids), rollout)
    numbers = [wave.number for wave in waves for _ in range(wave.size)]
    placed = dict(zip(spread(ids, seed=seed), numbers, strict=True))
    if gateways:
        _keep_apart(placed, gateways)
        sizes = Counter(placed.values())
        waves = [PlannedWave(number, sizes[number]) for number in sorted(sizes)]
    return waves, placed


def _keep_apart(placed: dict[int, int], gateways: Mapping[int, int]) -> None:
    """Move gateways out of the waves of their children, into a last one if need be."""
    taken: dict[int, set[int]] = defaultdict(set)
    for child, gateway in gateways.items():
        taken[gateway].add(placed[child])
    related = {*gateways, *gateways.values()}
    # Members without any relation, by wave: they change places with gateways.
    free: dict[int, list[int]] = defaultdict(list)
    for member, wave in placed.items():
        if member not in related:
            free[wave].append(member)
    last = max(placed.values()) + 1
    for gateway in sorted(taken):
        wave = placed[gateway]
        if wave not in taken[gateway]:
            continue
        other = next((n for n in free if free[n] and n not in taken[gateway]), last)
        if other != last:
            placed[free[other].pop()] = wave
        placed[gateway] = other


def spread(ids: Sequence[int], *, seed: str) -> list[int]:
    """Return the ids in an order that depends only on the seed.

    In the order of ids, the canary would always be the oldest devices.
    """

    def place(pk: int) -> bytes:
        return hashlib.blake2b(f"{seed}:{pk}".encode(), digest_size=8).digest()

    return sorted(set(ids), key=place)


def _canary_size(count: int, canary: float | None) -> int:
    if not canary:
        return 0
    # 1 is one device; a share is below 1.
    return math.ceil(count * canary) if canary < 1 else int(canary)


def _wave_sizes(count: int, rollout: Mapping[str, Any]) -> list[int]:
    if count == 0:
        return []
    if rollout["wave_size"]:
        size = int(rollout["wave_size"])
        return [min(size, count - done) for done in range(0, count, size)]
    sizes: list[int] = []
    for share in rollout["waves"] or []:
        size = min(max(1, round(count * share)), count - sum(sizes))
        if size:
            sizes.append(size)
    rest = count - sum(sizes)
    if rest and sizes and abs(sum(rollout["waves"]) - 1) < 1e-9:
        sizes[-1] += rest  # the remainder of rounding
    elif rest:
        sizes.append(rest)
    return sizes


def _refuse(field: str, message: str) -> None:
    raise InvalidRollout(errors=[{"field": f"rollout.{field}", "message": message}])
