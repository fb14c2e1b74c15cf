"""The test behind the health gate: it may be looked at after every few devices."""

from __future__ import annotations

from bisect import bisect
from functools import cache
from itertools import product
from math import comb
from random import Random

import pytest

from commands.judgment.two_sample_test import (
    STOP_AT,
    Group,
    SequentialTest,
    add_look,
    begin,
)

LOOK = 50  # new devices
OTHERS = 1_000  # of the control in each look


def binomial(count: int, share: float) -> list[float]:
    return [
        comb(count, bad) * share**bad * (1 - share) ** (count - bad)
        for bad in range(count + 1)
    ]


@cache
def cumulative(count: int, share: float) -> list[float]:
    sums = [(1 - share) ** count]
    term = sums[0]
    for bad in range(1, count + 1):
        term *= (count - bad + 1) / bad * share / (1 - share)
        sums.append(sums[-1] + term)
    return sums


def drawn(random: Random, count: int, share: float) -> Group:
    found = bisect(cumulative(count, share), random.random())
    return Group(count, min(count, found))


def devices_until_stop(
    random: Random, *, updated: float, control: float, most: int
) -> int | None:
    """Return how many devices were updated when the rollout was stopped, if it was."""
    test = add_look(
        begin(0.0), updated=Group(0, 0), control=drawn(random, OTHERS, control)
    )
    for devices in range(LOOK, most + 1, LOOK):
        test = add_look(
            test,
            updated=drawn(random, LOOK, updated),
            control=drawn(random, OTHERS, control),
        )
        if test.evidence >= STOP_AT:
            return devices
    return None


@pytest.mark.parametrize("share", [0.005, 0.02, 0.1])
def test_at_most_one_in_twenty_harmless_rollouts_is_stopped(share: float) -> None:
    random = Random(20_26)

    stopped = [
        devices_until_stop(random, updated=share, control=share, most=1_000)
        for _ in range(400)
    ]

    assert sum(devices is not None for devices in stopped) <= 20


def test_six_against_two_percent_is_stopped_before_the_500th_device() -> None:
    random = Random(20_26)

    stopped = [
        devices_until_stop(random, updated=0.06, control=0.02, most=LOOK * 9)
        for _ in range(100)
    ]

    assert sum(devices is not None for devices in stopped) >= 95


@pytest.mark.parametrize("tolerated", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_look_at_a_harmless_rollout_adds_no_evidence_on_average(
    tolerated: float, share: float
) -> None:
    looked = add_look(begin(tolerated), updated=Group(4, 1), control=Group(10, 1))

    for test in (begin(tolerated), looked):
        for count, others in ((3, 7), (5, 5)):
            of_updated = binomial(count, share + tolerated)
            of_control = binomial(others, share)
            expected = sum(
                of_updated[bad]
                * of_control[bad_others]
                * add_look(
                    test, updated=Group(count, bad), control=Group(others, bad_others)
                ).evidence
                for bad, bad_others in product(range(count + 1), range(others + 1))
            )
            assert expected <= test.evidence + 1e-9


def test_a_difference_that_is_tolerated_does_not_stop_a_rollout() -> None:
    test = begin(0.05)
    for _ in range(20):
        test = add_look(test, updated=Group(100, 6), control=Group(1_000, 20))

    assert test.evidence < 1


def test_a_few_devices_that_all_do_badly_are_enough() -> None:
    test = add_look(begin(0.0), updated=Group(5, 5), control=Group(10, 0))

    assert test.evidence >= STOP_AT


def test_nothing_is_concluded_without_a_control() -> None:
    test = add_look(begin(0.0), updated=Group(50, 50), control=Group(0, 0))

    assert test == begin(0.0)
    assert test.evidence == pytest.approx(1)


def test_a_stored_test_goes_on_where_it_was() -> None:
    test = add_look(begin(0.1), updated=Group(9, 3), control=Group(30, 1))

    again = SequentialTest(**test.stored())

    look = {"updated": Group(9, 4), "control": Group(30, 0)}
    assert add_look(again, **look) == add_look(test, **look)
