"""The types of outgoing events, and how subscribers name them."""

from __future__ import annotations

from collections.abc import Sequence

from commands.choices import CommandStatus, JobStatus
from console.choices import IncidentEventKind
from state.choices import AlarmMove, Connectivity

ALL = "*"
WHOLE_KIND = ("", ALL, "changed")
# The first half of a type, and what may be its second: "alarm.raised".
EVENT_TYPES: dict[str, Sequence[str]] = {
    "command": CommandStatus.values,
    "job": JobStatus.values,
    "alarm": AlarmMove.values,
    "connectivity": Connectivity.values,
    "incident": IncidentEventKind.values,
}
# The whole kind, as people say it: "alarms" is "alarm.*".
KINDS = {
    **{kind: kind for kind in EVENT_TYPES},
    **{f"{kind}s": kind for kind in EVENT_TYPES if kind != "connectivity"},
}


def patterns_of(events: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what subscribes to these events in one form, and which are unknown.

    An event is a kind ("alarms", "alarm.*", "alarm.changed"), a type ("alarm.raised"),
    or "*" for all.
    """
    patterns, unknown = [], []
    for event in events:
        kind, _, word = event.strip().lower().partition(".")
        if kind == ALL and not word:
            patterns.append(ALL)
        elif kind in KINDS and word in WHOLE_KIND:
            patterns.append(f"{KINDS[kind]}.*")
        elif kind in EVENT_TYPES and word in EVENT_TYPES[kind]:
            patterns.append(f"{kind}.{word}")
        else:
            unknown.append(event)
    return sorted(set(patterns)), unknown
