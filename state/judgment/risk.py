"""Judge risk: facts in, named reasons with their points out.

Pure: no database, no clock. ``WEIGHTS`` decides: each reason gives the points of the
highest step that it reaches, and the score is their sum. The maxima add up to 100 (a
device is offline or stale, never both), so the score needs no cap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from state.choices import Cause, Connectivity

OFFLINE_LONG = timedelta(hours=24)
DRIFT_LONG = timedelta(hours=1)

# What a reason measures → (at least, points), rising.
WEIGHTS: dict[str, tuple[tuple[float, int], ...]] = {
    # Abnormal disconnects in the last 72 hours.
    "flapping": ((2, 5), (3, 10), (5, 15), (10, 20)),
    # 1: left with a goodbye; 2: suspect; 3: lost; 4: lost for a day.
    "offline": ((1, 4), (2, 8), (3, 18), (4, 25)),
    # 1: its gateway is away; 2: only invalid messages.
    "stale": ((1, 10), (2, 20)),
    # 1: not as desired; 2: not as desired for an hour.
    "drift": ((1, 3), (2, 10)),
    # Failures among the newest commands.
    "command_failures": ((1, 4), (2, 8), (3, 12), (5, 15)),
    # The worst open alarm: 1 info, 2 warning, 3 critical.
    "alarms": ((1, 2), (2, 10), (3, 20)),
    # Percent used.
    "battery": ((70, 2), (80, 5), (90, 10)),
}
# The reasons that come from heartbeats and how connections ended.
HEARTBEAT_REASONS = ("flapping", "offline", "stale")
MOST = {name: steps[-1][1] for name, steps in WEIGHTS.items()}


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What risk is judged from."""

    connectivity: str = Connectivity.ONLINE
    cause: str = Cause.NONE
    since: datetime | None = None
    disconnects_72h: int = 0
    has_drift: bool = False
    desired_at: datetime | None = None
    commands_ended: int = 0
    commands_failed: int = 0
    alarms_info: int = 0
    alarms_warning: int = 0
    alarms_critical: int = 0
    battery: float | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a part of the score."""

    name: str
    points: int
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The score, its reasons, and when time alone may change it."""

    score: int
    reasons: tuple[Reason, ...]
    next_change_at: datetime | None = None


Measured = tuple[float, str]  # amount, and the sentence for people


def assess(facts: RiskFacts, *, now: datetime) -> Assessment:
    """Return the risk, the reason with the most points first."""
    reasons = []
    for name, measure in MEASURES.items():
        amount, text = measure(facts, now)
        if points := points_of(name, amount):
            reasons.append(Reason(name, points, text))
    reasons.sort(key=lambda reason: (-reason.points, reason.name))
    score = sum(reason.points for reason in reasons)
    return Assessment(score, tuple(reasons), _next_change(facts, now))


def points_of(name: str, amount: float) -> int:
    """Return the points of the highest step that the amount reaches."""
    return max(
        (points for least, points in WEIGHTS[name] if amount >= least), default=0
    )


def _flapping(facts: RiskFacts, now: datetime) -> Measured:
    count = facts.disconnects_72h
    return count, f"{count} abnormal disconnects in 72 hours"


def _offline(facts: RiskFacts, now: datetime) -> Measured:
    if facts.connectivity == Connectivity.SUSPECT:
        return 2, f"suspect: {Cause(facts.cause).label}"
    if facts.connectivity != Connectivity.OFFLINE or not _was_heard(facts):
        return 0, ""
    why = Cause(facts.cause).label
    if facts.cause == Cause.GOODBYE:
        return 1, f"offline: {why}"
    if _is_past(facts.since, OFFLINE_LONG, now):
        return 4, f"offline for more than a day: {why}"
    return 3, f"offline: {why}"


def _stale(facts: RiskFacts, now: datetime) -> Measured:
    # An outage of the platform is no reason to look at the device.
    levels = {Cause.GATEWAY_OFFLINE: 1, Cause.INVALID_MESSAGES: 2}
    level = levels.get(Cause(facts.cause), 0)
    if facts.connectivity != Connectivity.STALE or not level:
        return 0, ""
    return level, f"we cannot tell: {Cause(facts.cause).label}"


def _drift(facts: RiskFacts, now: datetime) -> Measured:
    if not facts.has_drift:
        return 0, ""
    if _is_past(facts.desired_at, DRIFT_LONG, now):
        return 2, "settings not applied for over an hour"
    return 1, "settings not applied yet"


def _command_failures(facts: RiskFacts, now: datetime) -> Measured:
    failed, ended = facts.commands_failed, facts.commands_ended
    if ended == 1:
        return failed, "its last command failed"
    return failed, f"{failed} of its last {ended} commands failed"


def _alarms(facts: RiskFacts, now: datetime) -> Measured:
    worst = (
        (3, "critical", facts.alarms_critical),
        (2, "warning", facts.alarms_warning),
        (1, "info", facts.alarms_info),
    )
    for level, severity, count in worst:
        if count:
            noun = "alarm" if count == 1 else "alarms"
            return level, f"{count} open {severity} {noun}"
    return 0, ""


def _battery(facts: RiskFacts, now: datetime) -> Measured:
    if facts.battery is None:
        return 0, ""
    return 100 - facts.battery, f"battery at {facts.battery:g} %"


MEASURES: dict[str, Callable[[RiskFacts, datetime], Measured]] = {
    "flapping": _flapping,
    "offline": _offline,
    "stale": _stale,
    "drift": _drift,
    "command_failures": _command_failures,
    "alarms": _alarms,
    "battery": _battery,
}


def _was_heard(facts: RiskFacts) -> bool:
    return facts.cause != Cause.NEVER_CONNECTED


def _is_past(since: datetime | None, long: timedelta, now: datetime) -> bool:
    return since is not None and now - since >= long


def _next_change(facts: RiskFacts, now: datetime) -> datetime | None:
    moments = []
    is_lost = facts.connectivity == Connectivity.OFFLINE and _was_heard(facts)
    if is_lost and facts.cause != Cause.GOODBYE and facts.since is not None:
        moments.append(facts.since + OFFLINE_LONG)
    if facts.has_drift and facts.desired_at is not None:
        moments.append(facts.desired_at + DRIFT_LONG)
    return min((moment for moment in moments if moment > now), default=None)
