"""A diagnosis as pages show it: as sentences, and each trait as a fleet search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from console.presenters.search_results import fleet_url
from fleet.query.clauses import field_clause
from fleet.selectors.search import answering, open_search
from state.choices import Trouble, Verdict
from state.selectors.diagnosis import diagnose_set
from state.selectors.provenance import DIAGNOSIS_RULE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fleet.selectors.lag import IndexStatus
    from registry.models import Tenant

# A trait of the diagnosis → its field in the index.
FIELDS = {
    "gateway": "gateway",
    "site": "site",
    "adapter": "adapter",
    "firmware": "firmware",
    "model": "product",
    "revision": "hardware_revision",
    "batch": "batch",
}
NAMES = {"model": "product", "revision": "hardware revision"}  # else its own name
# A set is diagnosed while its page loads: more devices would take too long.
MAX_DEVICES = 10_000
HIGH, MEDIUM = 0.8, 0.5
TROUBLE_OF_SET = {
    Trouble.BLIND: "The platform was not listening to the affected devices.",
    Trouble.GARBLED: "The affected devices send only invalid messages.",
    Trouble.SILENT: (
        "The affected devices are offline, or lost the connection within the last hour."
    ),
    Trouble.COMMANDS: (
        "Several commands to the affected devices failed, the last one within 24 hours."
    ),
    Trouble.ALARM: "The affected devices have a critical alarm.",
    Trouble.FLAPPING: (
        "The affected devices lost the connection three times or more in 72 hours."
    ),
    Trouble.NONE: "",
}


def diagnosis_of_set(
    tenants: Sequence[Tenant], q: str, *, total: int, status: IndexStatus
) -> dict[str, Any] | None:
    """Return the diagnosis of a query's matches, if most of them are affected."""
    if len(tenants) != 1 or not 1 < total <= MAX_DEVICES:
        return None
    with answering():
        ids = open_search(tenants, q, status).device_ids()
    return present_diagnosis(diagnose_set(tenants[0], ids))


def present_diagnosis(diagnosis: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a diagnosis for the template; None if nothing is wrong."""
    if diagnosis is None:
        return None
    share = diagnosis["confidence"]
    level = "high" if share >= HIGH else "medium" if share >= MEDIUM else "low"
    return {
        "verdict": diagnosis["verdict"],
        "label": str(Verdict(diagnosis["verdict"]).label),
        "trouble": TROUBLE_OF_SET[Trouble(diagnosis["trouble"])],
        "confidence": f"{level} confidence, {100 * share:.0f} %" if share else "",
        "text": diagnosis["text"],
        "where": diagnosis["where"],
        "rule": f"{DIAGNOSIS_RULE}; {diagnosis['window']}",
        "shared": [_shared(row) for row in diagnosis["evidence"] if "total" in row],
        "notes": [row["text"] for row in diagnosis["evidence"] if "total" not in row],
    }


def _shared(row: dict[str, Any]) -> dict[str, Any]:
    share, base = (
        affected / total if total else 0.0
        for affected, total in (
            (row["affected"], row["total"]),
            (row["rest_affected"], row["rest_total"]),
        )
    )
    is_trait = row["name"] in FIELDS  # else it is the whole fleet
    clause = field_clause(FIELDS[row["name"]], row["value"]) if is_trait else None
    return row | {
        "label": NAMES.get(row["name"], row["name"]),
        "width": f"{100 * share:.1f}%",
        "base_width": f"{100 * base:.1f}%",
        "url": fleet_url(q=clause.text) if clause else "",
    }
