"""How the values of a document are known: fact, reported or judged, and by which rule.

The times stand with the values of one device, in the answer about its state.
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
    **dict.fromkeys(("risk", "risk_reasons"), RISK_RULE),
    "drift": DELTA_RULE,
}
# By the device, in its own words.
REPORTED = frozenset(
    {"firmware", "config_version", "battery", "rssi", "reported", "metric"}
)


def how_known(field: str) -> tuple[str, str | None]:
    """Return how the values of a field are known, and the rule of those judged.

    The rest is fact: entered by people, or done and heard by ourselves.
    """
    if field in JUDGED:
        return KnownBy.JUDGED.value, JUDGED[field]
    kind = KnownBy.REPORTED if field in REPORTED else KnownBy.FACT
    return kind.value, None
