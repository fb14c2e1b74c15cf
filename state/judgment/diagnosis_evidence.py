"""What a diagnosis is made from, as counted; no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from iotplatform.common.counts import counted
from registry.choices import Adapter
from state.choices import Connectivity, Observation, Trouble, Verdict

NEAR = ("gateway", "site")  # devices with the same one share the network connection


class Finding(NamedTuple):
    """A verdict, and the trait or fact that shows it; empty if none does."""

    verdict: Verdict
    where: str


@dataclass(frozen=True, slots=True)
class Limits:
    """How much evidence a verdict needs."""

    affected: int  # peers; fewer may be chance
    share: float  # of the peers with the trait that are affected
    lift: float  # times as frequent as elsewhere
    covered: float  # share of a set of devices that has the trait
    near_share: float  # of the neighbours; with fewer affected they are well
    neighbours: int  # fewer well ones prove nothing about the network
    # From this share on the whole fleet is affected.
    fleet_share: float
    # An adapter path fails if this share of at least so many commands had no answer,
    # or if it is so many times slower than usual.
    path_tries: int
    path_unanswered: float
    path_slower: float
    path_slow_ms: float


# A verdict is made if the evidence reaches the first limits, and kept until it falls
# below the second ones. So evidence that moves a little never turns it over and back.
ENTER = Limits(3, 0.3, 4.0, 0.75, 0.1, 3, 0.5, 10, 0.5, 5.0, 2_000.0)
LEAVE = Limits(2, 0.2, 2.5, 0.65, 0.05, 2, 0.4, 5, 0.35, 3.5, 1_400.0)


@dataclass(frozen=True, slots=True)
class Group:
    """Devices that share one trait: how many have the same trouble, of how many."""

    value: str
    affected: int
    total: int
    covered: int | None = None  # members of the set that have it; None: all

    @property
    def share(self) -> float:
        return self.affected / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class PathFigures:
    """How the adapter path delivered commands lately."""

    adapter: str
    tries: int
    unanswered: int
    p95_ms: float | None
    usual_p95_ms: float | None

    def is_bad(self, limits: Limits) -> bool:
        """Whether it fails, or is much slower than usual."""
        if self.tries < limits.path_tries:
            return False
        if self.unanswered / self.tries >= limits.path_unanswered:
            return True
        if self.p95_ms is None or not self.usual_p95_ms:
            return False
        is_slower = self.p95_ms >= limits.path_slower * self.usual_p95_ms
        return is_slower and self.p95_ms >= limits.path_slow_ms

    def describe(self) -> str:
        """Return a sentence without its full stop."""
        name = Adapter(self.adapter).label
        if self.unanswered:
            text = f"{self.unanswered:,} of {self.tries:,} commands over {name} had no"
            text += " answer"
        elif self.tries == 1:
            text = f"the only command over {name} was answered"
        else:
            text = f"all {self.tries:,} commands over {name} were answered"
        if self.p95_ms is not None and self.tries == 1:
            text += f" within {self.p95_ms:,.0f} ms"
        elif self.p95_ms is not None:
            answers = " of the answers came" if self.unanswered else ""
            text += f"; 95 %{answers} within {self.p95_ms:,.0f} ms"
        if self.usual_p95_ms is not None:
            text += f" (the day before: {self.usual_p95_ms:,.0f} ms)"
        return text


@dataclass(frozen=True, slots=True)
class DiagnosisEvidence:
    """What is known about the trouble of a device, or of a set of devices."""

    trouble: Trouble
    groups: Mapping[str, Group] = field(default_factory=dict)
    fleet: Group = field(default_factory=lambda: Group("", 0, 0))
    set_size: int = 1
    gateway_is_away: bool = False
    began_blind: bool = False
    path: PathFigures | None = None
    feedback: Observation | None = None  # the newest about this trouble
    connectivity: Connectivity = Connectivity.OFFLINE  # by our judgment

    @property
    def is_online(self) -> bool:
        return self.connectivity == Connectivity.ONLINE

    def rest(self, group: Group) -> Group:
        """Return the devices of the fleet that are not in this group."""
        return Group(
            "rest",
            max(0, self.fleet.affected - group.affected),
            max(0, self.fleet.total - group.total),
        )

    def lift(self, group: Group) -> float:
        """Return how many times as frequent the trouble is as elsewhere."""
        rest = self.rest(group)
        # Add one elsewhere: with none affected there, the factor would be infinite.
        return group.share / ((rest.affected + 1) / (rest.total + 1))

    def covered(self, group: Group) -> float:
        """Return the share of the set that has the trait."""
        return 1.0 if group.covered is None else group.covered / self.set_size

    def compare(self, trait: str) -> str:
        """Return the counts of a trait's row in words, without a full stop."""
        group, rest = self.groups[trait], self.rest(self.groups[trait])
        return (
            f"{group.affected:,} of {counted(group.total, 'device')} with the same"
            f" {trait} are affected, elsewhere {rest.affected:,} of {rest.total:,}"
        )

    def count_fleet(self) -> str:
        """Return the counts of the fleet's row in words, without a full stop."""
        fleet = self.fleet
        return (
            f"{fleet.affected:,} of {fleet.total:,} devices of the fleet are affected"
        )
