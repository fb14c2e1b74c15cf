"""A diagnosis as pages show it: in words, and each trait a door to its devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.presenters.search_results import fleet_url
from fleet.query import clauses
from fleet.selectors.search import list_members
from state.choices import Trouble, Verdict
from state.selectors.diagnosis import diagnose_set
from state.selectors.provenance import DIAGNOSIS_RULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.models import Tenant

# A trait of the diagnosis is this field of the index.
FIELDS = {
    "gateway": "gateway",
    "site": "site",
    "adapter": "adapter",
    "firmware": "firmware",
    "model": "product",
}
# A set is diagnosed beside its search; more devices than these are a fleet, not a set.
MOST_DEVICES = 10_000
QUITE_SURE, LIKELY = 0.8, 0.5


def fault_of_set(
    tenants: Sequence[Tenant], q: str, *, total: int
) -> dict[str, Any] | None:
    """Return what is wrong with the matches of a query, if most are in trouble."""
    if len(tenants) != 1 or not 1 < total <= MOST_DEVICES:
        return None
    members = list_members(tenants=tenants, q=q).members
    return fault(diagnose_set(tenants[0], [member.device_id for member in members]))


def fault(diagnosis: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a diagnosis in words; None where nothing is wrong."""
    if diagnosis is None:
        return None
    sure = diagnosis["confidence"]
    words = "quite sure" if sure >= QUITE_SURE else "likely" if sure >= LIKELY else ""
    return {
        "verdict": diagnosis["verdict"],
        "words": str(Verdict(diagnosis["verdict"]).label),
        "trouble": str(Trouble(diagnosis["trouble"]).label),
        "sure": f"{words or 'a guess'}, {sure:.0%}" if sure else "",
        "text": diagnosis["text"],
        "where": diagnosis["where"],
        "rule": f"{DIAGNOSIS_RULE}; {diagnosis['window']}",
        "counted": [_counted(row) for row in diagnosis["evidence"] if "total" in row],
        "told": [row["text"] for row in diagnosis["evidence"] if "total" not in row],
    }


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    share, base = (
        affected / total if total else 0.0
        for affected, total in (
            (row["affected"], row["total"]),
            (row["rest_affected"], row["rest_total"]),
        )
    )
    return row | {
        "width": f"{100 * share:.1f}%",
        "base_width": f"{100 * base:.1f}%",
        "url": fleet_url(q=clauses.clause(FIELDS[row["name"]], row["value"])),
    }
