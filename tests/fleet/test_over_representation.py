"""Whether a set has a value more often than chance explains."""

from __future__ import annotations

from dataclasses import replace
from math import comb, exp

import pytest

from fleet.selectors.over_representation import Share, corrected, log_chances


@pytest.mark.parametrize(
    ("counted", "total", "fleet_count", "fleet_total"),
    [(3, 3, 3, 6), (9, 10, 30, 100), (52, 56, 95, 500), (1, 5, 1, 5), (4, 9, 30, 40)],
)
def test_the_chance_is_that_of_fishers_exact_test(
    counted: int, total: int, fleet_count: int, fleet_total: int
) -> None:
    others = fleet_total - fleet_count
    ways = sum(
        comb(fleet_count, hits) * comb(others, total - hits)
        for hits in range(counted, min(total, fleet_count) + 1)
    )

    share = Share(counted, total, fleet_count, fleet_total)

    expected = ways / comb(fleet_total, total)
    [chance] = log_chances([share])
    assert exp(chance) == pytest.approx(expected, rel=1e-9)
    assert corrected(chance, tried=7) == pytest.approx(min(1, 7 * expected))


def test_a_chance_too_small_for_a_float_is_still_above_zero() -> None:
    share = Share(50_000, 50_000, 60_000, 500_000)

    [chance, other] = log_chances([share, replace(share, fleet_count=70_000)])
    assert chance < other
    assert 0 < corrected(chance, tried=100) < 1e-300
