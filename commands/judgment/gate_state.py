"""How far a job's health gate is: its tests over several spans of observation.

A member is counted once in each span, when it was observed for that long since it got
its command; the members that have not got theirs are observed over the same time. A
short span sees a crash at once, a long one what comes later. Each span has its own
test; their weighted mean is a test, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.judgment.health_gate import is_numeric
from commands.judgment.two_sample_test import (
    STOP_AT,
    Group,
    SequentialTest,
    add_look,
    begin,
)

# Parts of the soak time, and the weights of their tests: what must show before the next
# wave counts most.
SPANS = ((0.125, 0.1), (0.5, 0.25), (1.0, 0.45), (8.0, 0.2))
WITHOUT_SOAK = 60.0  # seconds: the span of a job that has no soak time
SHORTEST, LONGEST = 1.0, 86_400.0
NOBODY = Group(0, 0)
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Look:
    """New members of both groups, and the number that is bad from then on."""

    updated: Group
    control: Group
    limit: float | None = None  # the control's 90th percentile, of a numeric metric


@dataclass(slots=True)
class Span:
    """One time of observation, and what its looks have counted."""

    seconds: float
    weight: float
    test: SequentialTest
    looked_at: datetime
    counted_until: datetime = EARLIEST  # members that got their command by then
    check_at: datetime = EARLIEST  # nothing new can be counted before
    updated: Group = NOBODY
    control: Group = NOBODY
    limit: float | None = None

    @property
    def length(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def add(self, look: Look, *, at: datetime) -> None:
        """Count a look at members that were observed for the whole span."""
        self.test = add_look(self.test, updated=look.updated, control=look.control)
        if look.updated.count:
            self.updated = _sum(self.updated, look.updated)
            self.control = _sum(self.control, look.control)
        self.looked_at, self.counted_until = at, at - self.length
        self.limit = self.limit if look.limit is None else look.limit


@dataclass(slots=True)
class GateState:
    """All spans of a gate, and what people are told."""

    spans: list[Span] = field(default_factory=list)
    adapters: list[str] = field(default_factory=list)  # of the members
    is_breached: bool = False
    has_passed: bool = False  # a wave has soaked without a breach
    blind_at: datetime | None = None  # when it last could not see the members

    @property
    def evidence(self) -> float:
        """The E-value of all spans: their weighted mean."""
        total = sum(span.weight for span in self.spans)
        return sum(s.weight / total * s.test.evidence for s in self.spans)

    @property
    def convinces(self) -> bool:
        return self.evidence >= STOP_AT

    @property
    def shown(self) -> Span:
        """The span that says most: by its evidence, then by its members."""
        return max(
            self.spans,
            key=lambda s: (
                s.test.evidence >= STOP_AT and s.test.evidence,
                s.updated.count,
                s.weight,
            ),
        )

    @property
    def has_compared(self) -> bool:
        return any(span.updated.count and span.control.count for span in self.spans)


def begin_gate(
    gate: dict[str, Any], *, soak_seconds: float, adapters: list[str], now: datetime
) -> GateState:
    """Return the state of a gate that has not looked yet."""
    base = soak_seconds or WITHOUT_SOAK
    # Of a number the tolerance is in its limit; then the shares must be equal.
    tolerated = 0.0 if is_numeric(gate) else float(gate["worse_by"])
    weights: dict[float, float] = {}
    for part, weight in SPANS:
        seconds = min(max(base * part, SHORTEST), LONGEST)
        weights[seconds] = weights.get(seconds, 0.0) + weight
    spans = [
        Span(seconds, weight, begin(tolerated), now)
        for seconds, weight in weights.items()
    ]
    return GateState(spans, adapters)


def stored(state: GateState) -> dict[str, Any]:
    """Return a state as JSON."""
    return {
        "adapters": state.adapters,
        "is_breached": state.is_breached,
        "has_passed": state.has_passed,
        "blind_at": state.blind_at and state.blind_at.isoformat(),
        "spans": [
            {
                "seconds": span.seconds,
                "weight": span.weight,
                "test": span.test.stored(),
                "looked_at": span.looked_at.isoformat(),
                "counted_until": span.counted_until.isoformat(),
                "check_at": span.check_at.isoformat(),
                "updated": [span.updated.count, span.updated.bad],
                "control": [span.control.count, span.control.bad],
                "limit": span.limit,
            }
            for span in state.spans
        ],
    }


def restored(document: dict[str, Any]) -> GateState:
    """Return the state that ``stored`` wrote."""
    blind_at = document["blind_at"]
    return GateState(
        spans=[
            Span(
                seconds=row["seconds"],
                weight=row["weight"],
                test=SequentialTest(**row["test"]),
                looked_at=datetime.fromisoformat(row["looked_at"]),
                counted_until=datetime.fromisoformat(row["counted_until"]),
                check_at=datetime.fromisoformat(row["check_at"]),
                updated=Group(*row["updated"]),
                control=Group(*row["control"]),
                limit=row["limit"],
            )
            for row in document["spans"]
        ],
        adapters=document["adapters"],
        is_breached=document["is_breached"],
        has_passed=document["has_passed"],
        blind_at=datetime.fromisoformat(blind_at) if blind_at else None,
    )


def _sum(one: Group, other: Group) -> Group:
    return Group(one.count + other.count, one.bad + other.bad)
