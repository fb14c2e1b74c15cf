"""Rank what was changed before an incident. No database, no clock.

A change is a likely reason if it touched many of the incident's devices, few others,
and came shortly before: coverage times specificity times recency. What is below a
limit does not stand out, and is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

LEAST_COVERED = 0.3  # of the incident's devices
LEAST_SCORE = 0.05
# After so many hours a change counts half.
HALF_HOURS = 3.0


class Candidate(NamedTuple):
    """A change, how many of the incident's devices it touched, and how many in all."""

    at: datetime
    kind: str  # job, firmware, config, maintenance, site, device, rule, product …
    object_id: str
    name: str
    text: str
    covered: int
    touched: int


def rank(
    candidates: Sequence[Candidate], *, size: int, until: datetime
) -> list[Candidate]:
    """Return those that stand out, the likeliest first; ``size`` is the incident's."""
    scored = [(score(each, size=size, until=until), each) for each in candidates]
    kept = [
        (value, each)
        for value, each in scored
        if value >= LEAST_SCORE and each.covered >= LEAST_COVERED * size
    ]
    kept.sort(key=lambda pair: (-pair[0], -pair[1].at.timestamp(), pair[1].object_id))
    return [each for _, each in kept]


def score(each: Candidate, *, size: int, until: datetime) -> float:
    """Return coverage times specificity times recency, 0 to 1."""
    if not size or each.at > until:
        return 0.0
    covered = min(1.0, each.covered / size)
    specific = min(1.0, each.covered / max(1, each.touched))
    hours = (until - each.at).total_seconds() / 3_600
    return float(covered * specific * 0.5 ** (hours / HALF_HOURS))
