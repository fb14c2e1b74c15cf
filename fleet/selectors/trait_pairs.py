"""Pairs of values that stand out together more than each of them does alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from fleet.backends.engine import Search
from fleet.fields import FieldRef
from fleet.normal_forms import value_form
from fleet.query.clauses import Clause
from fleet.query.tree import And, Node
from fleet.selectors.over_representation import Share, corrected, log_chances

MOST_PAIRED = 40  # values, the most surprising first: 780 pairs
MOST_COUNTED = 100  # pairs that are counted in the whole fleet


@dataclass(frozen=True, slots=True)
class Single:
    """A value that is frequent in the set, and its condition."""

    ref: FieldRef
    value: Any
    same: Any  # equal for values that a query does not tell apart
    clause: Clause
    counted: Share
    log_chance: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two values, and how many devices have both."""

    first: Single
    second: Single
    counted: Share
    log_chance: float = 0.0


class Sides:
    """The set and the whole fleet, at one moment of the index."""

    def __init__(self, here: Search, whole: Search, compile_: Any, tree: Node) -> None:
        self.here, self.whole = here, whole
        self._compile, self._tree = compile_, tree

    def here_with(self, node: Node) -> Search:
        """Return the devices of the set that satisfy a condition."""
        return self.here.same_moment(self._compile(And((self._tree, node))))

    def whole_with(self, *nodes: Node) -> Search:
        """Return the devices of the fleet that satisfy these conditions."""
        return self.whole.same_moment(self._compile(And(nodes)))


def find_pairs(
    sides: Sides, singles: Sequence[Single], *, tried: int, least: int, chance: float
) -> tuple[list[Pair], int]:
    """Return the pairs that add to both of their values, and how many were tried.

    ``least`` devices of the set have both. ``chance`` is the most that chance may
    explain, after the correction for all that was ``tried``, of what each value adds to
    the other.
    """
    chosen = sorted(singles, key=lambda row: row.log_chance)[:MOST_PAIRED]
    pairs = [
        pair
        for place, first in enumerate(chosen)
        for pair in _with(sides, first, chosen[place + 1 :])
        if pair.counted.count >= least
    ]
    tried += sum(a.ref != b.ref for a, b in combinations(chosen, 2))
    likely = _most_surprising(pairs)
    exact = [replace(pair, counted=_counted(sides, pair)) for pair in likely]
    found = _most_surprising(exact)
    kept = [pair for pair in found if _adds(pair, tried=tried, chance=chance)]
    return kept, tried


def _with(sides: Sides, first: Single, others: Sequence[Single]) -> list[Pair]:
    """Return the pairs of a value, counted in the set and estimated for the fleet.

    The estimate takes the values as independent of each other.
    """
    others = [other for other in others if other.ref != first.ref]
    if not others:
        return []
    refs = list(dict.fromkeys(other.ref for other in others))
    within = sides.here_with(first.clause.node)
    counts = {
        (ref, value_form(ref, value)): count
        for ref, rows in within.values(refs).items()
        for value, count in rows
    }
    pairs = []
    for other in others:
        count = counts.get((other.ref, other.same), 0)
        a, b = first.counted, other.counted
        expected = a.fleet_count * b.fleet_count // a.fleet_total
        most = a.fleet_total - (a.total - count)  # the others of the set lack it
        estimate = max(count, min(expected, a.fleet_count, b.fleet_count, most))
        shared = Share(count, a.total, estimate, a.fleet_total)
        pairs.append(Pair(first, other, shared))
    return pairs


def _most_surprising(pairs: Sequence[Pair]) -> list[Pair]:
    chances = log_chances([pair.counted for pair in pairs])
    ranked = [
        replace(pair, log_chance=chance)
        for pair, chance in zip(pairs, chances, strict=True)
    ]
    return sorted(ranked, key=lambda pair: pair.log_chance)[:MOST_COUNTED]


def _counted(sides: Sides, pair: Pair) -> Share:
    both = sides.whole_with(pair.first.clause.node, pair.second.clause.node).count()
    counted = pair.counted
    return replace(counted, fleet_count=max(counted.count, both))


def _adds(pair: Pair, *, tried: int, chance: float) -> bool:
    """Whether each value says more about the set beside the other one."""
    both = pair.counted
    within = [
        Share(both.count, alone.count, both.fleet_count, alone.fleet_count)
        for alone in (pair.first.counted, pair.second.counted)
    ]
    return all(corrected(each, tried=tried) <= chance for each in log_chances(within))
