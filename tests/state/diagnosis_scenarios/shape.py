"""The shape of a scenario: counts, with the verdict that an operator would give.

Written from real cases, not from the code. A pair is (affected, all) of the peers that
share a trait with the affected device: its gateway, site, adapter, firmware, model, and
the whole fleet. A single device is not in the numbers; a set of devices is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Pair = tuple[int, int]

# A healthy fleet of 500: 50 on the site, 10 on the gateway, most over MQTT.
WELL: dict[str, Pair] = {
    "gateway": (0, 9),
    "site": (0, 49),
    "adapter": (1, 449),
    "firmware": (0, 199),
    "model": (1, 299),
    "fleet": (2, 499),
}


@dataclass(frozen=True)
class Scenario:
    """One case."""

    title: str
    verdict: str
    where: str = ""  # the trait that the verdict must name
    trouble: str = "silent"
    peers: dict[str, Pair] = field(default_factory=dict)
    # Other fields of the evidence.
    known: dict[str, Any] = field(default_factory=dict)


def case(
    title: str,
    verdict: str,
    where: str = "",
    *,
    trouble: str = "silent",
    no_gateway: bool = False,
    known: dict[str, Any] | None = None,
    **peers: Pair,
) -> Scenario:
    """Return a case; the peers that are not named are well."""
    merged = WELL | peers
    if no_gateway:
        del merged["gateway"]
    return Scenario(title, verdict, where, trouble, merged, known or {})


BAD_PATH = {"tries": 200, "unanswered": 120, "p95_ms": 900.0, "usual_p95_ms": 800.0}
SLOW_PATH = {"tries": 200, "unanswered": 2, "p95_ms": 20_000.0, "usual_p95_ms": 800.0}
GOOD_PATH = {"tries": 200, "unanswered": 2, "p95_ms": 900.0, "usual_p95_ms": 800.0}
QUIET_PATH = {"tries": 2, "unanswered": 2, "p95_ms": None, "usual_p95_ms": None}
