"""An any-time-valid test of two shares: do more of the updated devices do badly?

It may be looked at as often as one likes: a harmless rollout is stopped with a
probability of at most 1/20, over all looks together. After R. Turner, A. Ly and
P. Grünwald, "Generic E-variables for exact sequential k-sample tests that allow for
optional stopping" (2021), and for a tolerated difference R. Turner and P. Grünwald,
"Exact anytime-valid confidence intervals for contingency tables and beyond" (2022). How
a rollout is monitored by it: M. Lindon et al., "Rapid regression detection in software
deployments through sequential testing" (KDD 2022).

1. The null hypothesis: share(updated) <= share(control) + tolerated. An alternative is
   a pair of shares outside of it.
2. In one look, each device is counted once. For one alternative (a, b) the look's
   E-variable is its likelihood divided by that of (a0, b0), the point of the null
   hypothesis that is nearest to it (the least Kullback-Leibler divergence, weighted by
   the devices of each group). Its expectation under any point of the null hypothesis is
   A^n B^m, where that nearness makes n A + m B <= n + m; so it is at most 1.
3. Which alternative is true is unknown. Each has a weight, and the look's E-variable is
   the weighted mean; then each weight is multiplied by its own E-variable. A part of
   the weight is on fixed pairs: they may convince in the very first look. The rest
   takes the control's share from the earlier looks, and bets that the odds of the
   updated devices are some times as high.
4. So what is predicted for a look comes from earlier looks only, and the product over
   the looks is a test martingale: by Ville's inequality it ever reaches 20 with a
   probability of at most 1/20 if the rollout is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from math import exp, log
from typing import Any

STOP_AT = 20.0  # at most 1/20 of harmless rollouts are stopped
# The shares that fixed alternatives are made of: near 0 a small difference matters.
SHARES = (0.002, 0.005, 0.01, 0.02, 0.04, 0.07, 0.12, 0.2, 0.35, 0.55, 0.8, 0.97)
FIXED = 0.25  # their part of the weight
# Times the tolerated odds, and its weight: small differences are the hard ones.
ODDS = ((1.6, 0.2), (2.2, 0.3), (3.0, 0.25), (5.0, 0.15), (15.0, 0.1))
HALVINGS = 50  # of an interval below 1: exact to the last digit of a float
MOST_LOG = 700.0  # e to a larger power is no float
MOST_SHARE = 0.995  # what is tolerated beyond this can hardly be exceeded

# The logarithm of an alternative's likelihood ratio for one device, which is
# (bad updated, good updated, bad control, good control).
_Ratios = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Group:
    """New devices of one group in a look, and how many of them do badly."""

    count: int
    bad: int


@dataclass(frozen=True, slots=True)
class SequentialTest:
    """How far a test is: the logarithms of the weights, and the control so far."""

    tolerated: float
    fixed: list[float]
    relative: list[float] = field(
        default_factory=lambda: [log((1 - FIXED) * weight) for _, weight in ODDS]
    )
    control: int = 0
    control_bad: int = 0

    def stored(self) -> dict[str, Any]:
        """Return it as JSON; ``SequentialTest(**stored)`` is the same test."""
        return asdict(self)

    @property
    def evidence(self) -> float:
        """The E-value; 1 before the first look."""
        logs = [*self.fixed, *self.relative]
        return sum(exp(min(each, MOST_LOG)) for each in logs)


def begin(tolerated: float) -> SequentialTest:
    """Return a test without a look."""
    pairs = _pairs(tolerated)
    # Where nothing fixed is worse than tolerated, that weight stays unused.
    return SequentialTest(tolerated, [log(FIXED / len(pairs))] * len(pairs))


def add_look(test: SequentialTest, *, updated: Group, control: Group) -> SequentialTest:
    """Return the test after a look at devices that it has not counted yet.

    A look without updated devices only shows how the control usually does; one without
    a control changes nothing.
    """
    if not control.count:
        return test
    if not updated.count:
        return replace(
            test,
            control=test.control + control.count,
            control_bad=test.control_bad + control.bad,
        )
    part = updated.count / (updated.count + control.count)
    fixed = _ratios_of_pairs(round(part, 6), test.tolerated)
    relative = _relative_ratios(test, part) if test.control else ()
    return SequentialTest(
        tolerated=test.tolerated,
        fixed=_weighed(test.fixed, fixed, updated, control),
        relative=_weighed(test.relative, relative, updated, control),
        control=test.control + control.count,
        control_bad=test.control_bad + control.bad,
    )


def _weighed(
    weights: Sequence[float], ratios: Sequence[_Ratios], updated: Group, control: Group
) -> list[float]:
    """Multiply each weight by its E-variable of the look; without ratios none bets."""
    if not ratios:
        return list(weights)
    good, good_control = updated.count - updated.bad, control.count - control.bad
    return [
        weight
        + updated.bad * of_bad
        + good * of_good
        + control.bad * of_bad_control
        + good_control * of_good_control
        for weight, (of_bad, of_good, of_bad_control, of_good_control) in zip(
            weights, ratios, strict=True
        )
    ]


def _relative_ratios(test: SequentialTest, part: float) -> tuple[_Ratios, ...]:
    """Return the ratios for the control's share that earlier looks have shown."""
    control = (test.control_bad + 0.5) / (test.control + 1)
    limit = control + test.tolerated
    if limit >= MOST_SHARE:
        return ()
    odds = limit / (1 - limit)
    return tuple(
        _ratios(times * odds / (1 + times * odds), control, part, test.tolerated)
        for times, _ in ODDS
    )


@lru_cache(maxsize=64)
def _pairs(tolerated: float) -> tuple[tuple[float, float], ...]:
    """Return the pairs (updated, control) that are worse than tolerated."""
    return tuple(
        (updated, control)
        for control in SHARES
        for updated in SHARES
        if updated - control > tolerated
    )


@lru_cache(maxsize=1_024)
def _ratios_of_pairs(part: float, tolerated: float) -> tuple[_Ratios, ...]:
    pairs = _pairs(tolerated)
    return tuple(_ratios(*pair, part, tolerated) for pair in pairs)


def _ratios(updated: float, control: float, part: float, tolerated: float) -> _Ratios:
    near = _nearest(updated, control, part, tolerated)
    return (
        log(updated / (near + tolerated)),
        log((1 - updated) / (1 - near - tolerated)),
        log(control / near),
        log((1 - control) / (1 - near)),
    )


def _nearest(updated: float, control: float, part: float, tolerated: float) -> float:
    """Return the control's share in the nearest point of the null hypothesis.

    ``part`` of the devices is updated. The divergence is convex, so
    its slope has one zero between the control's share and the updated one's.
    """
    if not tolerated:
        return part * updated + (1 - part) * control
    low, high = control, updated - tolerated
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = middle + tolerated
        slope = part * (above - updated) / (above * (1 - above))
        slope += (1 - part) * (middle - control) / (middle * (1 - middle))
        low, high = (low, middle) if slope > 0 else (middle, high)
    return (low + high) / 2
