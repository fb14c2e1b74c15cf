"""A tree as query text again: what is printed parses to the same tree."""

from __future__ import annotations

import re

from fleet.fields import FieldRef
from fleet.query.tree import (
    All,
    And,
    Between,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    WordLike,
    Words,
)
from fleet.query.values import print_pattern, print_value, quote


def print_query(node: Node) -> str:
    """Return the query text of a tree."""
    match node:
        case All():
            return "*"
        case And(items):
            return " AND ".join(_operand(item) for item in items)
        case Or(items):
            return " OR ".join(_operand(item) for item in items)
        case Not(item):
            return f"NOT {_operand(item)}"
        case Words(words, field):
            return _prefixed(field, quote(" ".join(words)))
        case WordLike(pattern, field):
            return _prefixed(field, print_pattern(pattern))
        case Equals(field, value):
            return _prefixed(field, print_value(value))
        case Like(field, pattern):
            return _prefixed(field, print_pattern(pattern))
        case Exists(field):
            return _prefixed(field, "*")
        case Between():
            return _prefixed(node.field, _range(node))


def _operand(node: Node) -> str:
    text = print_query(node)
    return f"({text})" if isinstance(node, And | Or) else text


def _prefixed(field: FieldRef | None, text: str) -> str:
    if field is None:
        return text
    name = re.sub(r"([^\w.-])", r"\\\1", str(field))
    return f"{name}:{text}"


def _range(node: Between) -> str:
    if node.high is None and node.low is not None:
        return f">{'=' if node.has_low else ''}{print_value(node.low)}"
    if node.low is None and node.high is not None:
        return f"<{'=' if node.has_high else ''}{print_value(node.high)}"
    assert node.low is not None
    assert node.high is not None
    opening, closing = "[{"[not node.has_low], "]}"[not node.has_high]
    low, high = print_value(node.low), print_value(node.high)
    return f"{opening}{low} TO {high}{closing}"
