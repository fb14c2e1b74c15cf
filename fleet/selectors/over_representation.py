"""How surprising a count is: the chance that so many devices share a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from sys import float_info

# Terms that add less than this share to the sum end it.
NEGLIGIBLE = 1e-15


@dataclass(frozen=True, slots=True)
class Share:
    """How many of a set's devices have a value, and how many of the whole fleet's."""

    count: int
    total: int
    fleet_count: int  # the set's devices included, as in fleet_total
    fleet_total: int

    @property
    def share(self) -> float:
        return self.count / self.total

    @property
    def fleet_share(self) -> float:
        return self.fleet_count / self.fleet_total

    @property
    def lift(self) -> float:
        """Return how many times as frequent the value is as in the whole fleet."""
        return self.share / self.fleet_share


def log_chances(shares: Sequence[Share]) -> list[float]:
    """Return the logarithms of the chances that a random set has as many, or more.

    That is the upper tail of the hypergeometric distribution (Fisher's exact test).
    scipy's needs more than a second to load in each process that is first asked, 12 ms
    a value of a large set, and 240 MB on disk.
    """
    return [_log_chance(share) for share in shares]


def _log_chance(share: Share) -> float:
    others = share.fleet_total - share.fleet_count
    first = (
        _log_choices(share.fleet_count, share.count)
        + _log_choices(others, share.total - share.count)
        - _log_choices(share.fleet_total, share.total)
    )
    term = total = 1.0  # relative to the first
    for count in range(share.count, min(share.total, share.fleet_count)):
        term *= (share.total - count) * (share.fleet_count - count)
        term /= (count + 1) * (others - share.total + count + 1)
        total += term
        if term < NEGLIGIBLE * total:
            break
    return min(0.0, first + log1p(total - 1))


def corrected(log_chance: float, *, tried: int) -> float:
    """Return the p-value after so many tries: the chance that any is as surprising."""
    return max(float_info.min, exp(min(0.0, log_chance + log(max(1, tried)))))


def _log_choices(whole: int, part: int) -> float:
    return lgamma(whole + 1) - lgamma(part + 1) - lgamma(whole - part + 1)
