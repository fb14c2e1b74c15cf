"""A search's result as pages show it: rows in words, traits with their addresses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse

from console.presenters.delivery_track import short_words, track_of
from console.presenters.labels import ago, cause_in_words
from console.presenters.shared_traits import traits_of
from fleet.query import clauses
from registry.selectors.products import searchable_attributes

if TYPE_CHECKING:
    from fleet.selectors.search import SearchResult
    from registry.models import Tenant

# What may explain a set of devices: where, what and how, never the condition itself.
TRAIT_FIELDS = {
    "gateway": "Gateway",
    "firmware": "Firmware",
    "site": "Site",
    "region": "Region",
    "product": "Product",
    "adapter": "Adapter",
    "cause": "Cause",
    "lifecycle": "Lifecycle",
}
# Beside the fields above, what products declare; more would make the search dear.
MOST_ATTRIBUTES = 6


def found_rows(
    result: SearchResult, *, names_tenant: bool = False
) -> list[dict[str, Any]]:
    """Return the documents: codes in words, the last command as a track."""
    rows = [_row(document) for document in result.results]
    if names_tenant:
        for row, document in zip(rows, result.results, strict=True):
            row["site"] = f"{document['tenant']} · {row['site']}"
    return rows


def attribute_fields(tenants: Sequence[Tenant]) -> dict[str, str]:
    """Return the searchable attributes as index fields, each with its label."""
    names = searchable_attributes(tenants=tenants)[:MOST_ATTRIBUTES]
    return {f"attr.{name}": name.replace("_", " ").capitalize() for name in names}


def trait_rows(
    result: SearchResult,
    whole: SearchResult,
    q: str,
    sort: str = "",
    *,
    attributes: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Return what the matches share, without what the query asks for anyway."""
    labels = TRAIT_FIELDS | dict(attributes)
    asked = {part.split(":", 1)[0].strip("( ") for part in clauses.parts(q)}
    here = {
        name: rows
        for name, rows in result.facets.items()
        if name in labels and name not in asked
    }
    found = traits_of(
        here, total=result.total, fleet=whole.facets, fleet_total=whole.total
    )
    return [
        {
            "label": labels[trait.field],
            "value": cause_in_words(trait.value)
            if trait.field == "cause"
            else trait.value,
            "lift": trait.lift,
            "share": trait.share,
            "base_share": trait.base_share,
            "width": f"{100 * trait.share:.1f}%",
            "base_width": f"{100 * trait.base_share:.1f}%",
            "url": fleet_url(
                q=clauses.both(q, clauses.clause(trait.field, trait.value)),
                sort=sort,
            ),
        }
        for trait in found
    ]


def fleet_url(**state: str | None) -> str:
    """Return the fleet page's address for a state; what is empty is left out."""
    kept = {name: value for name, value in state.items() if value}
    return f"{reverse('console:fleet')}?{urlencode(kept)}"


def _row(document: dict[str, Any]) -> dict[str, Any]:
    connectivity = document.get("connectivity")
    said = [cause_in_words(document.get("cause"))]
    if connectivity != "online" and document.get("since"):
        said.append(ago(document["since"]))
    track = None
    if status := document.get("last_command_status"):
        failure = document.get("last_command_failure_class") or ""
        words = track_of(status, failure).words
        track = {
            "status": status,
            "failure_class": failure,
            "words": short_words(status, failure),
            "title": f"{document.get('last_command') or ''}: {words}",
        }
    return {
        "uid": document["uid"],
        "site": document.get("site"),
        "firmware": document.get("firmware"),
        "connectivity": connectivity,
        "condition": " · ".join(part for part in said if part),
        "disconnects": document.get("disconnects_72h") or 0,
        "risk": document.get("risk"),
        "risk_words": ", ".join(document.get("risk_reasons") or ()).replace("_", " "),
        "track": track,
    }
