"""What a set of devices has in common that the rest of the fleet has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# A trait must be this much more frequent here than in the fleet, and hold for this
# share of the matches; else chance and single devices fill the card.
LEAST_LIFT = 1.5
LEAST_SHARE = 0.2
MOST = 6

FacetCounts = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Trait:
    """One value that is over-represented."""

    field: str
    value: str
    count: int
    share: float
    base_share: float

    @property
    def lift(self) -> float:
        """How many times as frequent here as in the whole fleet."""
        return self.share / self.base_share


def traits_of(
    here: FacetCounts, *, total: int, fleet: FacetCounts, fleet_total: int
) -> list[Trait]:
    """Return what is over-represented, the strongest first; one value a field twice."""
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
            if trait.share >= LEAST_SHARE and trait.lift >= LEAST_LIFT:
                found.append(trait)
    # What explains most of the matches comes first, weighed by how unusual it is.
    return sorted(found, key=lambda trait: -trait.share * trait.lift)[:MOST]
