"""How the values of a document are known: fact, reported or judged, and by which rule.

The times are in the answer of the API about the state of one device.
"""

from __future__ import annotations

from state.choices import KnownBy
from state.selectors.provenance import (
    CONNECTIVITY_RULE,
    DELTA_RULE,
    RISK_RULE,
)

JUDGED = {
    **dict.fromkeys(
        ("connectivity", "cause", "since", "disconnects_72h"), CONNECTIVITY_RULE
    ),
    **dict.fromkeys(("risk", "risk_reasons", "heartbeat_risk"), RISK_RULE),
    "drift": DELTA_RULE,
}
# The device itself reports these.
REPORTED = frozenset(
    {"firmware", "config_version", "battery", "rssi", "reported", "metric"}
)


def how_known(field: str) -> tuple[str, str | None]:
    """Return how the values of a field are known, and the rule if they are judged.

    All other fields are facts: people entered them, or the platform recorded them.
    """
    if field in JUDGED:
        return KnownBy.JUDGED.value, JUDGED[field]
    kind = KnownBy.REPORTED if field in REPORTED else KnownBy.FACT
    return kind.value, None
