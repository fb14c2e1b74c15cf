"""How surprising a count is: the chance that so many devices share a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from sys import float_info


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
    Where it is too small for a float, its first and largest term stands for it.
    """
    # Imported here: it takes a second, and most processes never ask.
    import numpy
    from scipy.stats import hypergeom

    if not shares:
        return []
    given = [(s.count, s.fleet_total, s.fleet_count, s.total) for s in shares]
    count, fleet_total, fleet_count, total = numpy.array(given).T
    tail = hypergeom.sf(count - 1, fleet_total, fleet_count, total)
    first = hypergeom.logpmf(count, fleet_total, fleet_count, total)
    with numpy.errstate(divide="ignore"):
        logarithms = numpy.where(tail > 0, numpy.log(tail), first)
    return [min(0.0, float(each)) for each in logarithms]


def corrected(log_chance: float, *, tried: int) -> float:
    """Return the p-value after so many tries: the chance that any is as surprising."""
    return max(float_info.min, exp(min(0.0, log_chance + log(max(1, tried)))))
