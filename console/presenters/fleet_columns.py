"""The columns of the fleet table: their heads, the order of the rows, the export."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from console.presenters.labels import ago
from console.presenters.search_results import fleet_url
from fleet.fields import BY_NAME, FIELDS, Kind
from fleet.selectors.traits import value_text

COLUMNS = (
    ("uid", "Device", False),
    ("site", "Site", False),
    ("firmware", "Firmware", False),
    ("connectivity", "Condition", False),
    ("disconnects_72h", "Disc. 72 h", True),
    ("risk", "Risk", True),
    ("last_command", "Last command", False),
)
NAMES = frozenset(name for name, _, _ in COLUMNS)
# What the cell of a column shows besides.
BESIDE = {
    "connectivity": ("cause", "since"),
    "last_command": ("last_command_status", "last_command_failure_class"),
}
# The highest number and the latest time first: that is what people look for.
HIGHEST_FIRST = frozenset({Kind.NUMBER, Kind.DATE})


def table_columns(q: str, sort: str, *, shows_risk: bool) -> list[dict[str, Any]]:
    """Column heads: a click sorts, numbers descending; a second click reverses."""
    columns = []
    for field, label, is_number in shown_columns(sort, shows_risk=shows_risk):
        first = first_order(field)
        second = _reversed(first)
        columns.append(
            {
                "label": label,
                "is_number": is_number,
                "url": fleet_url(q=q, sort=second if sort == first else first),
                "arrow": {field: "▴", f"-{field}": "▾"}.get(sort, ""),
                "aria_sort": {field: "ascending", f"-{field}": "descending"}.get(sort),
            }
        )
    return columns


def shown_columns(sort: str, *, shows_risk: bool) -> list[tuple[str, str, bool]]:
    """Return name, label and whether it is a number, of each column that is shown.

    A field that people sort by takes the place of the last column: the table is full.
    """
    shown = [row for row in COLUMNS if row[0] != "risk" or shows_risk]
    if (name := sorted_by(sort)) is not None:
        shown[-1] = (name, label_of(name), BY_NAME[name].kind is Kind.NUMBER)
    return shown


def sorted_by(sort: str) -> str | None:
    """Return the field of an order that is not a column anyway."""
    name = sort.removeprefix("-")
    return name if name in BY_NAME and name not in NAMES else None


def sorted_value(document: dict[str, Any], sort: str) -> str:
    """Return the value that a device is sorted by, if no column shows it."""
    name = sorted_by(sort)
    value = document.get(name) if name else None
    if name is None or value is None:
        return ""
    return ago(value) if BY_NAME[name].kind is Kind.DATE else value_text(value)


def sort_choices(q: str, sort: str) -> dict[str, Any]:
    """Return every order that the page offers, and the address of the reverse one."""
    chosen = sort.removeprefix("-") or "uid"
    present = sort or "uid"
    return {
        "options": [
            {
                "value": present if field.name == chosen else first_order(field.name),
                "label": label_of(field.name),
                "is_chosen": field.name == chosen,
            }
            for field in FIELDS
            if field.sorts
        ],
        "reverse_url": fleet_url(q=q, sort=_reversed(present)),
        "is_descending": present.startswith("-"),
    }


def export_links(
    q: str, sort: str, *, shows_risk: bool, names_tenant: bool
) -> list[dict[str, str]]:
    """Return the files that the page offers, with their labels."""
    names = ["tenant"] if names_tenant else []
    for name, _, _ in shown_columns(sort, shows_risk=shows_risk):
        names += [name, *BESIDE.get(name, ())]
    shown = ",".join(dict.fromkeys(names))
    return [
        {"label": "CSV with these columns", "url": _export_url(q, "csv", shown)},
        {"label": "CSV with all fields", "url": _export_url(q, "csv")},
        {"label": "NDJSON with all fields", "url": _export_url(q, "ndjson")},
    ]


def label_of(name: str) -> str:
    """Return the name of a field in words."""
    return {column: label for column, label, _ in COLUMNS}.get(
        name, name.replace("_", " ").capitalize()
    )


def first_order(name: str) -> str:
    """Return the order that people want first."""
    return f"-{name}" if BY_NAME[name].kind in HIGHEST_FIRST else name


def _reversed(sort: str) -> str:
    return sort.removeprefix("-") if sort.startswith("-") else f"-{sort}"


def _export_url(q: str, name: str, fields: str = "") -> str:
    asked = {"q": q, "format": name} | ({"fields": fields} if fields else {})
    return f"{reverse('console:fleet-export')}?{urlencode(asked)}"
