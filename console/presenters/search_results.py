"""Search results as pages show them: rows with labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse

from console.presenters.delivery_track import short_label, track_of
from console.presenters.labels import ago, cause_label
from fleet.selectors.known_keys import known_keys

if TYPE_CHECKING:
    from fleet.selectors.search import SearchResult
    from registry.models import Tenant

# Attributes that products declare are facets too; more would slow the search down.
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
    names = sorted(known_keys(tenants).declared["attr"])[:MAX_ATTRIBUTES]
    return {f"attr.{name}": name.replace("_", " ").capitalize() for name in names}


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
