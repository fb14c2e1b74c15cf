"""Rules 2, 3 and 4 on the pure core: thousands of unlucky lives of a command."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from commands.choices import CommandStatus
from commands.models import Command
from commands.services import due_decisions
from commands.services.transitions import Moves
from commands.services.verification import verify_if_met
from tests.commands.simulation.life import live

# What must have happened to some command, or the lives prove nothing about it.
MARKS = {
    "a person is asked",
    "adapter dies",
    "cancelled while claimed",
    "control command to a sleeper",
    "crash between effect and acknowledgement",
    "deferred",
    "delivered from the session",
    "double acknowledgement",
    "expired in the queue",
    "expired on the way",
    "expiry after a sleep that did not end",
    "interruption",
    "late acknowledgement",
    "late result",
    "lease lost",
    "not published after the check",
    "not sent",
    "published after its lease",
    "refused at once",
    "released at the birth",
    "repeat answered from memory",
    "repeat while it runs",
    "replaced by a new command",
    "report of an old claim",
    "reported before it was asked for",
    "result before PUBACK",
    "sent again by a person",
    "sleep in retry",
    "superseded",
    "verdict corrected",
    "verified without a result",
}
SOME, MANY = 1_000, 20_000
DECISIONS, SIMULATION = "commands.services.due_decisions", "tests.commands.simulation"


@pytest.fixture(autouse=True)
def same_chance() -> Iterator[None]:
    """Leave the global chance as it was: each life begins it anew."""
    before = random.getstate()
    yield
    random.setstate(before)


def test_every_life_of_a_command_keeps_the_promises(
    is_long: bool, counted: Counter[str]
) -> None:
    seeds = range(MANY if is_long else SOME)
    marks: Counter[str] = Counter()
    failures = []
    for seed in seeds:
        life = live(seed)
        marks += life.marks
        if life.broken:
            failures.append(life.failure)

    assert not failures, "\n".join(failures[:5])
    assert set(MARKS) - set(marks) == set(), "never reached"
    counted["lives of a command, simulated"] += len(seeds)


def nothing(*args: Any, **kwargs: Any) -> None:
    pass


def never(*args: Any, **kwargs: Any) -> bool:
    return False


def always(*args: Any, **kwargs: Any) -> bool:
    return True


def send_again(command: Command, moves: Moves, context: Any) -> None:
    moves.move(command, CommandStatus.QUEUED, cause="once more", due_at=moves.now)


def verify_by_any_report(command: Command, moves: Moves, **report: Any) -> bool:
    return verify_if_met(command, moves, reported=report["reported"])


@pytest.mark.parametrize(
    ("where", "fault", "broken"),
    [
        ("commands.services.transitions.may_enter", always, "the device said"),
        (f"{DECISIONS}._held", nothing, "stays held for ever"),
        (f"{DECISIONS}._no_result", send_again, "again, and not repeatable"),
        (f"{SIMULATION}.device.Device._knows", never, "executed twice"),
        (
            f"{SIMULATION}.platform.verify_if_reported_since",
            verify_by_any_report,
            "verified without a report after the publish",
        ),
    ],
)
def test_the_simulation_notices_a_fault(
    where: str, fault: Any, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where.startswith(DECISIONS):
        original = getattr(due_decisions, where.rpartition(".")[2])
        for status, decision in due_decisions._DECISIONS.items():
            if decision is original:
                monkeypatch.setitem(due_decisions._DECISIONS, status, fault)
    else:
        monkeypatch.setattr(where, fault)

    lives = (live(seed) for seed in range(SOME))

    assert any(broken in life.broken for life in lives)


def test_the_same_seed_is_the_same_life() -> None:
    first, again = (live(7, tell=True).story for _ in range(2))

    assert first == again
    assert len(first) > 3
