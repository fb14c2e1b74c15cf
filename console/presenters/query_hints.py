"""Queries that a person probably meant: a bare word that is the value of a field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fleet.normal_forms import words_of
from fleet.query.clauses import Clause, field_clause, join_clauses
from fleet.query.tree import Words
from fleet.query.values import quote
from registry.choices import Adapter, DeviceKind, Lifecycle
from state.choices import Connectivity

# Values that no device may have now.
FIXED: dict[str, Iterable[str]] = {
    "connectivity": Connectivity.values,
    "lifecycle": Lifecycle.values,
    "kind": DeviceKind.values,
    "adapter": Adapter.values,
}
MOST_HINTS = 3
SIMPLE = re.compile(r"\w[\w.-]*")  # a dash in front would be part of the value


def has_bare_word(conditions: Sequence[Clause]) -> bool:
    """Whether a condition is words without a field."""
    return any(_is_bare(clause) for clause in conditions)


def value_hints(
    conditions: Sequence[Clause], facets: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[str]:
    """Return queries with ``field:value`` in place of a word that is such a value."""
    found = []
    for clause in conditions:
        if not isinstance(clause.node, Words) or not _is_bare(clause):
            continue
        for field, value in _fields_with(clause.node.words, facets):
            meant = field_clause(field, value)
            found.append(
                join_clauses(meant if row is clause else row for row in conditions)
            )
    return list(dict.fromkeys(found))[:MOST_HINTS]


def find_query(text: str) -> str:
    """Return the query for a text that begins a uid, serial or site, or is a name."""
    is_simple = SIMPLE.fullmatch(text) is not None
    value = f"{text}*" if is_simple else quote(text)
    parts = [f"{field}:{value}" for field in ("uid", "serial", "site")]
    if words_of(text):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'"{escaped}"')
    return " OR ".join(parts)


def _is_bare(clause: Clause) -> bool:
    return isinstance(clause.node, Words) and clause.node.field is None


def _fields_with(
    words: Sequence[str], facets: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterable[tuple[str, str]]:
    wanted = list(words)
    for field in [*FIXED, *(name for name in facets if name not in FIXED)]:
        rows = (str(row["value"]) for row in facets.get(field, ()))
        for value in dict.fromkeys([*FIXED.get(field, ()), *rows]):
            if words_of(value) == wanted:
                yield field, value
