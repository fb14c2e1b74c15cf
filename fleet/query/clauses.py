"""Adding a condition to a query's text and removing it, by the parsed tree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from luqum import tree as luqum_tree

from fleet.fields import resolve_field
from fleet.query.parser import Reader, literal_condition, read_source
from fleet.query.tree import All, And, Node, Not, Or
from fleet.query.values import quote, quote_name


@dataclass(frozen=True)
class Clause:
    """One condition of a query; two are equal when they mean the same."""

    node: Node
    text: str = dataclasses.field(compare=False)
    # An OR without parentheses: it needs them beside an AND.
    is_bare_or: bool = dataclasses.field(default=False, compare=False)


def field_clause(field: str, value: str) -> Clause:
    """Return ``field:value``, quoted where the value needs it; raises QueryError."""
    ref = resolve_field(field)
    text = f"{quote_name(str(ref))}:{quote(value)}"
    return Clause(literal_condition(value, ref, 0), text)


def split_query(query: str) -> list[Clause]:
    """Return the conditions that a query joins with AND; raises QueryError.

    Parentheses are one condition, and so is a whole query with OR at its top.
    """
    source, root = read_source(query)
    reader = Reader(source)
    return [
        Clause(
            reader.node(item, None, 1),
            source.text_of(item),
            isinstance(item, luqum_tree.OrOperation),
        )
        for item in _operands(root)
    ]


def join_clauses(clauses: Iterable[Clause]) -> str:
    """Return the query of all these conditions; ``*`` when there is none."""
    kept = [clause for clause in clauses if clause.node != All()]
    if len(kept) == 1:
        return kept[0].text
    texts = (f"({row.text})" if row.is_bare_or else row.text for row in kept)
    return " AND ".join(texts) or "*"


def field_names(clauses: Iterable[Clause]) -> set[str]:
    """Return the fields that these conditions ask for; NOT asks for none."""
    return {name for clause in clauses for name in _names(clause.node)}


def _operands(item: Any) -> Iterator[Any]:
    # Two conditions side by side are joined with AND, too.
    if isinstance(item, luqum_tree.AndOperation | luqum_tree.UnknownOperation):
        for operand in item.operands:
            yield from _operands(operand)
    else:
        yield item


def _names(node: Node) -> Iterator[str]:
    match node:
        case And(items) | Or(items):
            for item in items:
                yield from _names(item)
        case All() | Not():
            return
        case _:
            if node.field is not None:
                yield str(node.field)
