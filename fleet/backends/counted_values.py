"""The counted values of a field, as facets and traits show them."""

from __future__ import annotations

from typing import Any

from fleet.backends.engine import Row
from fleet.fields import FieldRef
from fleet.normal_forms import value_form

FACET_VALUES = 50  # nobody reads more, and a query finds the rest
# Counts are exact for a column of so many written values; beyond, the rarest are left
# out, and the facet says so.
MOST_COUNTED = 10_000
FEW_NUMBERS = 50


def facet_rows(ref: FieldRef, rows: list[Row], *, is_exact: bool) -> list[Row]:
    """Return the rows of a facet; those of too many values are approximate."""
    rows = merge_spellings(ref, rows)[:FACET_VALUES]
    return rows if is_exact else [row | {"approximate": True} for row in rows]


def merge_spellings(ref: FieldRef, rows: list[Row]) -> list[Row]:
    """Add up the values that a query does not tell apart; the most frequent first.

    The most frequent spelling is shown: its count is what a query for it finds.
    """
    rows.sort(key=_rank)
    merged: dict[Any, Row] = {}
    for row in rows:
        form = value_form(ref, row["value"])
        if form in merged:
            merged[form]["count"] += row["count"]
        else:
            merged[form] = dict(row)
    return sorted(merged.values(), key=_rank)


def shown_number(number: float) -> float:
    """Return a counted number as people write it: 5, not 5.0."""
    number = float(number)  # engines write whole ones as they like
    is_exact = number.is_integer() and abs(number) < 2**53
    return int(number) if is_exact else number


def is_left_out(values: list[Any]) -> bool:
    """Whether a column has too many numbers to name what devices share."""
    return len(values) > FEW_NUMBERS and not isinstance(values[0], str | bool)


def _rank(row: Row) -> tuple[int, str]:
    return -row["count"], str(row["value"])
