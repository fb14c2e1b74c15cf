"""What a job will cost, from what past jobs of the same command did: how long it takes.

Each draw takes one past job for its devices' answers, since jobs differ more than the
devices within one, and lets the planned waves run with them. How far past jobs were
from their own draw widens the interval.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log
from statistics import fmean, quantiles
from typing import Any

DRAWS = 200
# A worker hands out a batch of 1,000 and looks at each job once a second.
HANDED_OUT_A_SECOND = 1_000.0
TICK_SECONDS = 1.0
# Even alike jobs differ: the spread of log(duration) is never taken as less.
LEAST_SPREAD = 0.15
# The spread of this many jobs is assumed until there are more.
_ASSUMED_SPREAD, _ASSUMED_JOBS = 0.3, 3


@dataclass(frozen=True)
class PastJob:
    """A finished job: how long its devices took, and how long all of it took."""

    # Seconds from the command's creation to its end, ascending; not empty.
    latencies: Sequence[float]
    waves: Sequence[int]
    rollout: Mapping[str, Any]
    # From the first wave to the end; None where a window or a pause stretched it.
    seconds: float | None


@dataclass(frozen=True)
class Interval:
    """Between ``low`` and ``high`` in eight of ten jobs, in seconds."""

    low: float
    likely: float
    high: float


def expected_seconds(
    waves: Sequence[int],
    rollout: Mapping[str, Any],
    past: Sequence[PastJob],
    *,
    seed: str,
) -> Interval | None:
    """Return how long the planned waves take; None without members or a past job.

    Hours outside a window are not counted. The same input gives the same interval.
    """
    if not waves or not past:
        return None
    luck = random.Random(seed)
    spread = _spread(past, luck)
    each = max(1, DRAWS // len(past))
    found = [
        _one_run(waves, rollout, job.latencies, luck) * exp(luck.gauss(0, spread))
        for job in past
        for _ in range(each)
    ]
    tenths = quantiles(found, n=10, method="inclusive")
    return Interval(low=tenths[0], likely=tenths[4], high=tenths[8])


def _spread(past: Sequence[PastJob], luck: random.Random) -> float:
    """Return the standard deviation of log(actual / drawn) over the past jobs."""
    misses = [
        log(max(job.seconds, TICK_SECONDS))
        - log(max(_one_run(job.waves, job.rollout, job.latencies, luck), TICK_SECONDS))
        for job in past
        if job.seconds is not None and job.waves
    ]
    known = sum(miss**2 for miss in misses) + _ASSUMED_JOBS * _ASSUMED_SPREAD**2
    return float(max(LEAST_SPREAD, (known / (len(misses) + _ASSUMED_JOBS)) ** 0.5))


def _one_run(
    waves: Sequence[int],
    rollout: Mapping[str, Any],
    latencies: Sequence[float],
    luck: random.Random,
) -> float:
    """Return the seconds of one run: each wave waits for its slowest device."""
    pace = min(
        HANDED_OUT_A_SECOND,
        (rollout.get("rate_per_minute") or float("inf")) / 60,
        # By Little's law: so many unanswered at once, each for so long.
        rollout["max_in_flight"] / max(fmean(latencies), 0.001),
    )
    slowest = (_quantile(latencies, luck.random() ** (1 / size)) for size in waves)
    handed_out = sum((size - 1) / pace for size in waves)
    between = rollout["soak_seconds"] * (len(waves) - 1) + TICK_SECONDS * len(waves)
    return float(sum(slowest) + handed_out + between)


def _quantile(ascending: Sequence[float], share: float) -> float:
    place = share * (len(ascending) - 1)
    below = int(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])
