"""What was changed before an incident: the true reason first, or nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from console.judgment.change_rank import Candidate, rank

UNTIL = datetime(2026, 12, 1, 12, tzinfo=UTC)
FLEET, CHANGES, CASES = 2_000, 200, 30


def unrelated(chance: Random, members: set[int], number: int) -> Candidate:
    """Return a change of some devices at some time of the day before."""
    size = chance.choice([1, 1, 1, 5, 20, 100, 500, FLEET])
    touched = set(chance.sample(range(FLEET), size))
    return change(members, touched, minutes=chance.uniform(1, 1_440), name=f"c{number}")


def change(
    members: set[int], touched: set[int], *, minutes: float, name: str
) -> Candidate:
    at = UNTIL - timedelta(minutes=minutes)
    covered = len(members & touched)
    return Candidate(at, "job", name, name, name, covered, len(touched))


def test_the_true_reason_among_200_changes_is_found() -> None:
    places = []
    for case in range(CASES):
        chance = Random(case)
        members = set(chance.sample(range(FLEET), chance.choice([5, 20, 80, 300])))
        found = [unrelated(chance, members, number) for number in range(CHANGES)]
        others = set(chance.sample(range(FLEET), len(members) // 2))
        most = set(chance.sample(sorted(members), max(1, int(0.9 * len(members)))))
        minutes = chance.uniform(1, 120)
        found.append(change(members, most | others, minutes=minutes, name="true"))
        chance.shuffle(found)
        ranked = rank(found, size=len(members), until=UNTIL)
        places.append([each.name for each in ranked].index("true"))

    assert sum(place == 0 for place in places) >= 27
    assert max(places) < 3


def test_without_a_reason_nothing_stands_out() -> None:
    for case in range(CASES):
        chance = Random(case)
        members = set(chance.sample(range(FLEET), chance.choice([20, 80])))
        found = [unrelated(chance, members, number) for number in range(CHANGES)]

        assert rank(found, size=len(members), until=UNTIL) == []


@pytest.mark.parametrize("minutes", [-5, 60 * 24])
def test_what_came_later_or_long_before_is_no_reason(minutes: float) -> None:
    members = set(range(10))

    found = [change(members, members, minutes=minutes, name="x")]

    assert rank(found, size=10, until=UNTIL) == []
