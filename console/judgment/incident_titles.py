"""The sentences of incidents: their titles, and their evidence. No database."""

from __future__ import annotations

from collections.abc import Sequence

from console.choices import IncidentCause as C
from registry.choices import Adapter
from state.choices import Cause

_TROUBLES = {
    "silent": "{uid} does not answer: {code}",
    "garbled": "{uid} sends only messages that cannot be read",
    "blind": "{uid}: the platform was not listening",
    "alarm": "{uid} reports the alarm {code}",
    "drift": "{uid} reports another configuration than wanted: {code}",
    "rejected": "many messages of {uid} are rejected: {code}",
}


def describe_trouble(uid: str, trouble: str, code: str) -> str:
    """Return one trouble of one device as a sentence without its full stop."""
    label = Cause(code).label if trouble == "silent" else code.replace("_", " ")
    return _TROUBLES[trouble].format(uid=uid, code=label)


def title_of(cause: C, name: str, texts: Sequence[str]) -> str:
    """Return the title of an incident; ``texts`` is its evidence, the first first.

    It holds for as long as the incident is open, so it counts nothing.
    """
    own = texts[0] if texts else name
    if cause == C.PLATFORM:
        return "The platform does not hear its devices"
    if cause == C.ADAPTER:
        return f"Devices on {Adapter(name).label} are in trouble: {own}"
    if cause == C.GATEWAY:
        return f"Gateway {name} and its devices are in trouble"
    if cause == C.SITE:
        return f"Devices at {name} went into trouble at the same time"
    if cause == C.COHORT:
        return f"Devices of {name} went into trouble at the same time"
    if cause == C.COMMAND:
        return f"The command {name} needs a person on several devices: {own}"
    return own
