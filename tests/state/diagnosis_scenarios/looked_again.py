"""One device, looked at again and again: what an operator expects to read each time.

A look that says "stays" differs from the one before by a few devices only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.state.diagnosis_scenarios.shape import Pair, Scenario, case

Step = tuple[str, dict[str, Pair]]  # the verdict, and the counts of the peers


@dataclass(frozen=True)
class Looks:
    """The looks at one device, in order."""

    title: str
    steps: tuple[Step, ...]
    trouble: str = "silent"
    known: tuple[tuple[str, Any], ...] = ()

    @property
    def verdicts(self) -> list[str]:
        return [verdict for verdict, _ in self.steps]

    def scenarios(self) -> list[Scenario]:
        """Return each look as a scenario."""
        return [
            case(
                self.title,
                verdict,
                "",
                trouble=self.trouble,
                known=dict(self.known),
                no_gateway="gateway" not in peers,
                **peers,
            )
            for verdict, peers in self.steps
        ]


def at_site(affected: int, total: int, elsewhere: int, rest: int) -> dict[str, Pair]:
    """Return counts of a site, with the trouble spread evenly over other traits."""
    hurt, fleet = affected + elsewhere, total + rest
    spread = {
        name: (round(share * hurt), round(share * fleet))
        for name, share in (("adapter", 0.9), ("firmware", 0.4), ("model", 0.6))
    }
    return {"site": (affected, total), "fleet": (hurt, fleet), **spread}


def behind(gateway: Pair, site: Pair, elsewhere: int = 2) -> dict[str, Pair]:
    """Return counts of a gateway at a site of a fleet of 500."""
    found = at_site(site[0], site[1], elsewhere, 499 - site[1])
    return {"gateway": gateway, **found}


def sharing(trait: str, affected: int, total: int, elsewhere: int) -> dict[str, Pair]:
    """Return counts of devices all over a fleet of 500 that share one trait."""
    hurt = affected + elsewhere
    spread = {"site": 0.1, "adapter": 0.9, "firmware": 0.4, "model": 0.6}
    peers = {name: (round(s * hurt), round(s * 499)) for name, s in spread.items()}
    return peers | {trait: (affected, total), "fleet": (hurt, 499)}


LOOKED_AGAIN = [
    Looks(
        "the report: 24 of 106 at the site, 51 of 1,469 elsewhere",
        (("cannot_tell", at_site(24, 106, 51, 1_469)),),
    ),
    Looks(
        "a site around the limit: the network stays the cause",
        (
            ("network", at_site(34, 106, 51, 1_469)),
            ("network", at_site(31, 106, 51, 1_469)),
            ("network", at_site(24, 106, 51, 1_469)),
            ("network", at_site(33, 106, 51, 1_469)),
        ),
    ),
    Looks(
        "a site around the limit, first seen below it: stays unclear until it passes",
        (
            ("cannot_tell", at_site(24, 106, 51, 1_469)),
            ("cannot_tell", at_site(31, 106, 51, 1_469)),
            ("network", at_site(33, 106, 51, 1_469)),
            ("network", at_site(30, 106, 51, 1_469)),
        ),
    ),
    Looks(
        "a site that fails more and more",
        (
            ("device", at_site(0, 106, 51, 1_469)),
            ("device", at_site(6, 106, 51, 1_469)),
            ("cannot_tell", at_site(20, 106, 51, 1_469)),
            ("network", at_site(60, 106, 51, 1_469)),
            ("network", at_site(104, 106, 51, 1_469)),
        ),
    ),
    Looks(
        "a site that comes back",
        (
            ("network", at_site(104, 106, 51, 1_469)),
            ("network", at_site(30, 106, 51, 1_469)),
            ("cannot_tell", at_site(17, 106, 51, 1_469)),
            ("device", at_site(3, 106, 51, 1_469)),
        ),
    ),
    Looks(
        "a site whose lift hovers at the limit while others fail elsewhere too",
        (
            ("network", at_site(40, 100, 90, 1_000)),
            ("network", at_site(40, 100, 110, 1_000)),
            ("network", at_site(40, 100, 90, 1_000)),
            ("network", at_site(38, 100, 120, 1_000)),
        ),
    ),
    Looks(
        "the others of a small site come and go, one of them",
        (
            ("device", at_site(0, 12, 4, 480)),
            ("device", at_site(1, 12, 4, 480)),
            ("device", at_site(0, 12, 4, 480)),
        ),
    ),
    Looks(
        "three of a gateway's nine, then two, then three",
        (
            ("network", behind((3, 9), (3, 49), elsewhere=0)),
            ("network", behind((2, 9), (2, 49), elsewhere=0)),
            ("network", behind((3, 9), (3, 49), elsewhere=0)),
        ),
    ),
    Looks(
        "a gateway that fails, and then its whole site",
        (
            ("network", behind((9, 9), (9, 49))),
            ("network", behind((9, 9), (20, 49))),
            ("network", behind((9, 9), (48, 49))),
        ),
    ),
    Looks(
        "its gateway went and came back, one child did not",
        (
            ("network", behind((9, 9), (9, 49))),
            ("device", behind((0, 9), (0, 49))),
        ),
    ),
    Looks(
        "a firmware whose share hovers at the limit",
        (
            ("device", sharing("firmware", 63, 200, 8)),
            ("device", sharing("firmware", 55, 200, 8)),
            ("device", sharing("firmware", 63, 200, 8)),
        ),
    ),
    Looks(
        "messages that cannot be read, from a firmware at the limit",
        (
            ("interpretation", sharing("firmware", 63, 200, 8)),
            ("interpretation", sharing("firmware", 55, 200, 8)),
            ("interpretation", sharing("firmware", 63, 200, 8)),
        ),
        trouble="garbled",
    ),
    Looks(
        "half of the fleet, a little more, a little less",
        (
            ("platform", at_site(25, 49, 230, 450)),
            ("platform", at_site(24, 49, 215, 450)),
            ("platform", at_site(25, 49, 230, 450)),
        ),
    ),
    Looks(
        "the whole fleet comes back, this device does not",
        (
            ("platform", at_site(48, 49, 430, 450)),
            ("device", at_site(0, 49, 2, 450)),
        ),
    ),
    Looks(
        "a third of its neighbours, as everywhere: unclear, and stays so",
        (
            ("cannot_tell", at_site(16, 49, 140, 450)),
            ("cannot_tell", at_site(14, 49, 140, 450)),
            ("cannot_tell", at_site(16, 49, 140, 450)),
        ),
    ),
    Looks(
        "an eighth of its neighbours, as everywhere: the device",
        (
            ("device", at_site(6, 49, 56, 450)),
            ("device", at_site(7, 49, 56, 450)),
        ),
    ),
    Looks(
        "site and firmware explain it alike, then the firmware a little better",
        (
            (
                "cannot_tell",
                sharing("firmware", 45, 50, 1) | {"site": (45, 50)},
            ),
            (
                "cannot_tell",
                sharing("firmware", 45, 48, 1) | {"site": (44, 50)},
            ),
            (
                "cannot_tell",
                sharing("firmware", 45, 50, 1) | {"site": (45, 50)},
            ),
        ),
    ),
    Looks(
        "a site that was named stays named when a firmware comes close",
        (
            ("network", at_site(45, 50, 2, 450) | {"firmware": (20, 200)}),
            ("network", at_site(45, 50, 2, 450) | {"firmware": (40, 45)}),
            ("network", at_site(45, 50, 2, 450) | {"firmware": (20, 200)}),
        ),
    ),
    Looks(
        "a site that keeps disconnecting, fewer and more of it",
        (
            ("network", at_site(18, 50, 5, 450)),
            ("network", at_site(11, 50, 5, 450)),
            ("network", at_site(18, 50, 5, 450)),
            ("device", at_site(1, 50, 5, 450)),
        ),
        trouble="flapping",
    ),
    Looks(
        "commands that fail on one site, fewer and more of it",
        (
            ("network", at_site(18, 50, 5, 450)),
            ("network", at_site(12, 50, 5, 450)),
            ("network", at_site(18, 50, 5, 450)),
        ),
        trouble="commands",
    ),
    Looks(
        "critical alarms of one model, fewer and more of it",
        (
            ("device", sharing("model", 40, 120, 3)),
            ("device", sharing("model", 27, 120, 3)),
            ("device", sharing("model", 40, 120, 3)),
        ),
        trouble="alarm",
    ),
    Looks(
        "reported as unplugged: what people saw stays, whatever the others do",
        (
            ("device", at_site(0, 49, 5, 450)),
            ("device", at_site(6, 49, 5, 450)),
            ("device", at_site(0, 49, 5, 450)),
        ),
        known=(("feedback", "unplugged"), ("is_online", False)),
    ),
]
