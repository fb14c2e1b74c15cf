"""Traits that a set of devices shares and the rest of the fleet does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A trait must be this many times as frequent as in the fleet, and hold for this share
# of the matches. Otherwise chance and single devices fill the card.
MIN_LIFT = 1.5
MIN_SHARE = 0.2
MAX_TRAITS = 6

FacetCounts = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Trait:
    """One value that is more frequent in the set than in the fleet."""

    field: str
    value: str
    count: int
    share: float
    base_share: float

    @property
    def lift(self) -> float:
        """How many times as frequent as in the whole fleet."""
        return self.share / self.base_share


def find_shared_traits(
    here: FacetCounts, *, total: int, fleet: FacetCounts, fleet_total: int
) -> list[Trait]:
    """Return the traits that are over-represented, the strongest first."""
    if not total or total >= fleet_total:
        return []
    found = []
    for field, rows in here.items():
        base = {str(row["value"]): int(row["count"]) for row in fleet.get(field, ())}
        for row in rows:
            value, count = str(row["value"]), int(row["count"])
            if not value or not base.get(value):
                continue
            trait = Trait(field, value, count, count / total, base[value] / fleet_total)
            if trait.share >= MIN_SHARE and trait.lift >= MIN_LIFT:
                found.append(trait)
    # Traits that explain most matches come first, weighted by how unusual they are.
    return sorted(found, key=lambda trait: -trait.share * trait.lift)[:MAX_TRAITS]
