"""Search results as pages show them: rows with labels, shared traits with links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse

from console.presenters.delivery_track import short_label, track_of
from console.presenters.labels import ago, cause_label
from console.presenters.shared_traits import find_shared_traits
from fleet.query.clauses import Clause, field_clause, field_names, join_clauses
from registry.selectors.products import list_searchable_attributes

if TYPE_CHECKING:
    from fleet.selectors.search import SearchResult
    from registry.models import Tenant

# Fields that may explain a set of devices; never the condition itself.
TRAIT_LABELS = {
    "gateway": "Gateway",
    "firmware": "Firmware",
    "site": "Site",
    "region": "Region",
    "product": "Product",
    "adapter": "Adapter",
    "cause": "Cause",
    "lifecycle": "Lifecycle",
}
# Attributes that products declare come on top; more would slow the search down.
MAX_ATTRIBUTES = 6


def device_rows(
    result: SearchResult, *, names_tenant: bool = False
) -> list[dict[str, Any]]:
    """Return the found devices as rows; the last command as a track."""
    rows = [_row(document) for document in result.results]
    if names_tenant:
        for row, document in zip(rows, result.results, strict=True):
            row["site"] = f"{document['tenant']} · {row['site']}"
    return rows


def attribute_fields(tenants: Sequence[Tenant]) -> dict[str, str]:
    """Return the searchable attributes: index field → label."""
    names = list_searchable_attributes(tenants=tenants)[:MAX_ATTRIBUTES]
    return {f"attr.{name}": name.replace("_", " ").capitalize() for name in names}


def shared_trait_rows(
    result: SearchResult,
    whole: SearchResult,
    conditions: Sequence[Clause],
    sort: str = "",
    *,
    attributes: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return what the matches share, except the fields that the query names."""
    labels = TRAIT_LABELS | dict(attributes)
    asked = field_names(conditions)
    here = {
        name: rows
        for name, rows in result.facets.items()
        if name in labels and name not in asked
    }
    found = find_shared_traits(
        here, total=result.total, fleet=whole.facets, fleet_total=whole.total
    )
    return [
        {
            "label": labels[trait.field],
            "value": cause_label(trait.value)
            if trait.field == "cause"
            else trait.value,
            "lift": trait.lift,
            "share": trait.share,
            "base_share": trait.base_share,
            "width": f"{100 * trait.share:.1f}%",
            "base_width": f"{100 * trait.base_share:.1f}%",
            "url": fleet_url(
                q=join_clauses([*conditions, field_clause(trait.field, trait.value)]),
                sort=sort,
            ),
        }
        for trait in found
    ]


def fleet_url(**state: str | None) -> str:
    """Return the address of the fleet page for a search; empty values are left out."""
    kept = {name: value for name, value in state.items() if value}
    return f"{reverse('console:fleet')}?{urlencode(kept)}"


def _row(document: dict[str, Any]) -> dict[str, Any]:
    connectivity = document.get("connectivity")
    cause = document.get("cause") or ""
    condition = []
    if cause != "never_connected":  # the chip says that
        condition.append(cause_label(cause))
        if connectivity != "online" and document.get("since"):
            condition.append(ago(document["since"]))
    track = None
    if status := document.get("last_command_status"):
        failure = document.get("last_command_failure_class") or ""
        label = track_of(status, failure).label
        track = {
            "status": status,
            "failure_class": failure,
            "label": short_label(status, failure),
            "title": f"{document.get('last_command') or ''}: {label}",
        }
    return {
        "uid": document["uid"],
        "site": document.get("site"),
        "firmware": document.get("firmware"),
        "connectivity": connectivity,
        "cause": cause,
        "condition": " · ".join(part for part in condition if part),
        "disconnects": document.get("disconnects_72h") or 0,
        "risk": document.get("risk"),
        "risk_reasons": ", ".join(document.get("risk_reasons") or ()).replace("_", " "),
        "track": track,
    }
