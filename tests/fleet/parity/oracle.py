"""What a search must answer, in plain Python over the documents: order and counts.

``tests.fleet.reference`` says which devices match.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from fleet.backends.documents import FleetDocument
from fleet.fields import Field, FieldRef, Kind
from fleet.normal_forms import LONGEST_SORT_KEY, value_form
from iotplatform.common.folding import fold
from iotplatform.common.version_key import version_key

MOST_SHOWN = 50
Row = dict[str, Any]


def in_order(
    documents: Iterable[FleetDocument], field: Field, *, descending: bool
) -> list[FleetDocument]:
    """Return the documents as a page shows them; those without a value come last."""
    by_id = sorted(documents, key=lambda document: document.device_id)
    valued = [d for d in by_id if _has_value(d, field)]
    # A reversed sort keeps the order of equal ones, too.
    valued.sort(
        key=lambda d: _sort_key(field, d.values[field.name]), reverse=descending
    )
    return valued + [d for d in by_id if not _has_value(d, field)]


def facet(documents: Sequence[FleetDocument], ref: FieldRef) -> list[Row]:
    """Return how many devices have each value; spellings of one value are one."""
    return _merged(ref, _written(documents, ref))[:MOST_SHOWN]


def values(documents: Sequence[FleetDocument], ref: FieldRef) -> list[tuple[Any, int]]:
    """Return all values with their counts; many numbers are left out."""
    written = _written(documents, ref)
    numbers = {v for v in written if type(v) in (int, float)}
    if len(numbers) > MOST_SHOWN:
        written = Counter({v: n for v, n in written.items() if v not in numbers})
    return [(row["value"], row["count"]) for row in _merged(ref, written)]


def _merged(ref: FieldRef, written: Counter[Any]) -> list[Row]:
    groups: dict[Any, list[Any]] = defaultdict(list)
    for value, count in written.items():
        rank = (-count, str(value), not isinstance(value, str))
        groups[value_form(ref, value)].append((rank, value))
    rows = [
        {"value": min(group)[1], "count": -sum(rank[0] for rank, _ in group)}
        for group in groups.values()
    ]
    return sorted(rows, key=lambda row: (-row["count"], str(row["value"])))


def _written(documents: Sequence[FleetDocument], ref: FieldRef) -> Counter[Any]:
    """Count the written values; a device counts once for each that a query tells."""
    return Counter(
        value for document in documents for value in _of_device(document, ref)
    )


def _of_device(document: FleetDocument, ref: FieldRef) -> list[Any]:
    value = document.values.get(ref.name)
    if ref.kind is Kind.JSON:
        value = (value or {}).get(ref.path)
    if value is None or (value == "" and ref.kind is not Kind.JSON):
        return []
    items = value if isinstance(value, list) else [value]
    if ref.kind is Kind.PATH:
        steps = value.split("/")
        items = ["/".join(steps[: n + 1]) for n in range(len(steps))]
    if ref.kind is Kind.JSON:
        items = sorted(items, key=lambda item: isinstance(item, str | bool))
    found: dict[Any, Any] = {}
    for item in items:
        found.setdefault(value_form(ref, item), _shown(ref, item))
    return list(found.values())


def _shown(ref: FieldRef, item: Any) -> Any:
    if ref.kind is Kind.JSON and isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, bool) or not isinstance(item, int | float):
        return item
    number = float(item)  # as precise as an index is
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _has_value(document: FleetDocument, field: Field) -> bool:
    return document.values.get(field.name) not in (None, "")


def _sort_key(field: Field, value: Any) -> Any:
    if field.kind is Kind.VERSION:
        return version_key(value)
    if isinstance(value, str):
        return fold(value)[:LONGEST_SORT_KEY].encode()
    return value
