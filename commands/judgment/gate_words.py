"""What a health gate has found, in words."""

from __future__ import annotations

from typing import Any

from commands.judgment.gate_state import GateState, Span
from commands.judgment.health_gate import (
    ALARMS,
    DISCONNECTS,
    FAILURES,
    RISK,
    ROLLBACK,
    SHARES,
    STOP,
    TELEMETRY,
    is_numeric,
)
from commands.judgment.two_sample_test import Group
from iotplatform.common.counts import counted

_EVENTS = {
    DISCONNECTS: "lost their connection",
    ALARMS: "raised an alarm",
    FAILURES: "had a failed command",
}


ON_BREACH = {STOP: "the job stops", ROLLBACK: "the job stops and is rolled back"}


def gate_terms(gate: dict[str, Any]) -> str:
    """Return what a complete gate compares, what it tolerates and what it does."""
    worse_by = gate["worse_by"]
    tolerated = f"{100 * worse_by:g} %" if gate["metric"] in SHARES else f"{worse_by:g}"
    then = ON_BREACH[gate["on_breach"]]
    return f"{metric_name(gate)}, worse by more than {tolerated}: {then}"


def why_breached(gate: dict[str, Any], state: GateState) -> str:
    """Return the sentence that stops a job: both shares and the bound."""
    span = state.shown
    return (
        f"The health gate: {_of(span.updated)} that got the command {_bad(gate, span)}"
        f" within {_lasting(span.seconds)}, against {_of(span.control)} that did not"
        f" get it; at most {bound_of(gate, span):.1%} were allowed."
    )


def why_held(state: GateState, *, blind: list[str]) -> str:
    """Return the sentence about a gate that has no verdict yet."""
    if blind:
        names = " and ".join(name.upper() for name in blind)
        return f"The platform does not hear its devices over {names}: nothing is sent."
    if not state.has_compared:
        return "Too few devices have been observed for a comparison."
    return "The devices of this wave are being observed."


def share_of(group: Group) -> float | None:
    """Return the share of a group that does badly; None of nobody."""
    return group.bad / group.count if group.count else None


def bound_of(gate: dict[str, Any], span: Span) -> float:
    """Return the share of updated members that is tolerated."""
    tolerated = 0.0 if is_numeric(gate) else gate["worse_by"]
    return min(1.0, (share_of(span.control) or 0.0) + tolerated)


def metric_name(gate: dict[str, Any]) -> str:
    """Return what a gate compares, as people call it."""
    metric: str = gate["metric"]
    if metric == ALARMS and gate["alarm_code"]:
        return f"alarms {gate['alarm_code']}"
    names = {DISCONNECTS: "abnormal disconnects", FAILURES: "command failures"}
    return names.get(metric, metric.removeprefix(TELEMETRY))


def _bad(gate: dict[str, Any], span: Span) -> str:
    metric = gate["metric"]
    if not is_numeric(gate):
        code = gate["alarm_code"]
        return _EVENTS[metric] + (f" {code}" if code else "")
    name = "risk" if metric == RISK else metric_name(gate)
    limit = (span.limit or 0.0) + gate["worse_by"]
    return f"had a {name} above {limit:g}"


def _of(group: Group) -> str:
    share = share_of(group) or 0.0
    return f"{group.bad} of {counted(group.count, 'device')} ({share:.1%})"


def _lasting(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.0f} h"
