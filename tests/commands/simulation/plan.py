"""What a life is to be like: the command, its policy, and how unlucky it is."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from commands.choices import CommandClass, FailureClass, OnFailure
from commands.definitions import CLASS_POLICIES, DAY, HOUR, MINUTE, Definition
from commands.expectations import ALL_PARAMS

OFFLINE, ASLEEP, BEHIND = "offline", "asleep", "behind its gateway"
PARAMS = {"level": 7}
TEMPLATE = {"level": "{{ params.level }}"}
ANSWERS = [answer.value for answer in OnFailure]
FAILURES = [failure.value for failure in FailureClass]
CODES = ("jammed", "worn")


@dataclass(frozen=True)
class Absence:
    """A time without the device."""

    begins: float
    lasts: float
    kind: str
    # A sleeper that does not wake when it said.
    oversleeps: float = 0.0


@dataclass(frozen=True)
class Plan:
    """One life before it happens; shares are 0 to 1."""

    definition: Definition
    policy: dict[str, Any]
    absences: tuple[Absence, ...]
    asked_after: float
    cancelled_after: float | None
    superseded_after: float | None
    is_retried_by_person: bool
    reports_before: bool
    # The device and the network.
    has_session: bool
    lost: float
    repeated: float
    late: float
    crashes: float
    rejects: float
    defers: float
    fails: float
    never_ends: float
    # The adapters; their trouble ends, or a command of a week would end only then.
    trouble_ends_after: float
    claims_begin_after: float
    adapter_dies: float
    adapter_stalls: float
    broker_refuses: float
    others_get_through: bool


def _definition(kind: CommandClass, *, repeatable: bool, expects: bool) -> Definition:
    is_config = kind == CommandClass.CONFIG
    return Definition(
        name="set_config" if is_config else "turn",
        command_class=kind,
        description="",
        is_repeatable=repeatable,
        params_schema={},
        policy=CLASS_POLICIES[kind],
        expectation=ALL_PARAMS if is_config else TEMPLATE if expects else None,
        reactions={CODES[0]: OnFailure.RETRY_LATER, CODES[1]: OnFailure.ESCALATE},
    )


DEFINITIONS = [
    _definition(kind, repeatable=repeatable, expects=expects)
    for kind in CommandClass
    for repeatable in (False, True)
    for expects in (False, True)
]


def draw_plan(chance: Random) -> Plan:
    """Draw a life: mostly some trouble, sometimes none, sometimes all at once."""
    definition = chance.choice(DEFINITIONS)

    def share(most: float) -> float:
        return most * chance.random() if chance.random() < 0.4 else 0.0

    return Plan(
        definition=definition,
        policy=_policy(definition, chance),
        absences=tuple(_absence(chance) for _ in range(chance.choice((0, 0, 1, 2)))),
        asked_after=chance.uniform(0, 60),
        cancelled_after=chance.uniform(0, 90) if chance.random() < 0.1 else None,
        superseded_after=chance.uniform(0, 400) if chance.random() < 0.3 else None,
        is_retried_by_person=chance.random() < 0.2,
        reports_before=chance.random() < 0.1,
        has_session=chance.random() < 0.4,
        lost=share(0.8),
        repeated=share(0.6),
        late=share(0.6),
        crashes=share(0.8),
        rejects=share(0.5),
        defers=share(0.7),
        fails=share(1.0),
        never_ends=share(0.8),
        trouble_ends_after=chance.expovariate(1 / 150),
        claims_begin_after=chance.uniform(0, 900) if chance.random() < 0.05 else 0,
        adapter_dies=share(0.5),
        adapter_stalls=share(0.5),
        broker_refuses=share(0.95),
        others_get_through=chance.random() < 0.5,
    )


def _policy(definition: Definition, chance: Random) -> dict[str, Any]:
    policy = dict(definition.policy)
    if chance.random() < 0.3:
        return policy
    on_failure = dict(policy["on_failure"])
    for failure in chance.sample(FAILURES, 3):
        on_failure[failure] = chance.choice(ANSWERS)
    return policy | {
        "receive_timeout_seconds": chance.choice((5, 30, MINUTE)),
        "execute_timeout_seconds": chance.choice((10, MINUTE, 5 * MINUTE)),
        "verify_timeout_seconds": chance.choice((10, MINUTE, 5 * MINUTE)),
        "attempts": chance.randint(1, 6),
        "backoff_seconds": chance.choice((0, 5, MINUTE)),
        "expires_in_seconds": chance.choice((MINUTE, MINUTE, 5 * MINUTE, HOUR, DAY)),
        "on_failure": on_failure,
    }


def _absence(chance: Random) -> Absence:
    kind = chance.choice((OFFLINE, ASLEEP, ASLEEP, BEHIND))
    lasts = chance.expovariate(1 / chance.choice((20, 300, 5_000)))
    sleeps_long = kind == ASLEEP and chance.random() < 0.3
    return Absence(
        begins=chance.uniform(0, 200),
        lasts=lasts,
        kind=kind,
        oversleeps=chance.uniform(0, 2 * DAY) if sleeps_long else 0.0,
    )
