"""What a job costs: the interval holds the truth of jobs like the past ones."""

from __future__ import annotations

import heapq
import random
from typing import Any

from commands.judgment.job_cost import PastJob, expected_seconds
from commands.rollouts import DEFAULTS

REPLAYS = 10


def really_takes(
    latencies: list[float], waves: list[int], rollout: dict[str, Any]
) -> float:
    """Run every device of a job: never more unanswered, never faster than the rate."""
    rate = rollout["rate_per_minute"]
    gap = 60 / rate if rate else 0.001
    now, done = 0.0, 0
    for number, size in enumerate(waves):
        now += rollout["soak_seconds"] if number else 0
        flying: list[float] = []
        for took in latencies[done : done + size]:
            if len(flying) == rollout["max_in_flight"]:
                now = max(now, heapq.heappop(flying))
            heapq.heappush(flying, now + took)
            now += gap
        now = max(flying)
        done += size
    return now


def a_job(luck: random.Random, waves: list[int], rollout: dict[str, Any]) -> PastJob:
    """A day may be slow for all devices; some devices are always slow."""
    day = luck.lognormvariate(0, 0.25)
    took = [day * luck.lognormvariate(1.5, 0.8) for _ in range(sum(waves))]
    seconds = really_takes(took, waves, rollout)
    return PastJob(sorted(took[:500]), waves, rollout, seconds)


def shape(luck: random.Random) -> tuple[list[int], dict[str, Any]]:
    waves = [5, *[luck.choice([50, 200])] * luck.randint(1, 4)]
    rate = luck.choice([None, 600, 3_000])
    return waves, DEFAULTS | {
        "soak_seconds": luck.choice([0, 30]),
        "rate_per_minute": rate,
        "max_in_flight": luck.choice([20, 500]),
    }


def test_the_interval_holds_the_truth_of_seven_in_ten_replays() -> None:
    inside = []
    for seed in range(20):
        luck = random.Random(seed)
        past = [a_job(luck, *shape(luck)) for _ in range(luck.randint(2, 15))]
        for _ in range(REPLAYS):
            waves, rollout = shape(luck)
            found = expected_seconds(waves, rollout, past, seed=str(seed))
            assert found is not None
            truth = a_job(luck, waves, rollout).seconds
            assert truth is not None
            inside.append(found.low <= truth <= found.high)

    share = sum(inside) / len(inside)
    assert 0.7 <= share <= 0.95, share  # nor is it so wide that it says nothing


def test_the_interval_is_the_same_for_the_same_question() -> None:
    luck = random.Random(1)
    past = [a_job(luck, *shape(luck)) for _ in range(5)]
    first, again = (
        expected_seconds([10, 100], DEFAULTS, past, seed="hash") for _ in range(2)
    )

    assert first == again
    assert first is not None
    assert 0 < first.low < first.likely < first.high


def test_a_slower_rate_takes_longer_and_nobody_takes_no_time() -> None:
    past = [PastJob([2.0], [10], DEFAULTS, 3.0)]
    quick = expected_seconds([100], DEFAULTS, past, seed="a")
    slow = expected_seconds([100], DEFAULTS | {"rate_per_minute": 60}, past, seed="a")

    assert quick is not None
    assert slow is not None
    assert slow.low > quick.high
    assert expected_seconds([], DEFAULTS, past, seed="a") is None
    assert expected_seconds([100], DEFAULTS, [], seed="a") is None
