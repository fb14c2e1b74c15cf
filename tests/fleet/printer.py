"""Prints a tree as query text, so that tests can generate queries as trees."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from fleet.fields import FieldRef
from fleet.query.tree import (
    All,
    And,
    Between,
    Day,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    Pattern,
    RelativeTime,
    Value,
    Wild,
    WordLike,
    Words,
)
from fleet.query.values import quote, quote_name


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
            return _prefixed(field, _pattern(pattern))
        case Equals(field, value):
            return _prefixed(field, _value(value))
        case Like(field, pattern):
            return _prefixed(field, _pattern(pattern))
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
    return f"{quote_name(str(field))}:{text}"


def _range(node: Between) -> str:
    if node.high is None and node.low is not None:
        return f">{'=' if node.has_low else ''}{_value(node.low)}"
    if node.low is None and node.high is not None:
        return f"<{'=' if node.has_high else ''}{_value(node.high)}"
    assert node.low is not None
    assert node.high is not None
    opening, closing = "[{"[not node.has_low], "]}"[not node.has_high]
    low, high = _value(node.low), _value(node.high)
    return f"{opening}{low} TO {high}{closing}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | int):
        text = repr(int(value)) if float(value).is_integer() else repr(value)
        return quote(text)
    if isinstance(value, RelativeTime):
        return _offset(value.offset)
    if isinstance(value, Day):
        return f"{value.start:%Y-%m-%d}"
    if isinstance(value, datetime):
        return quote(value.isoformat())
    return quote(value)


def _offset(offset: timedelta) -> str:
    if not offset:
        return "now"
    sign = "-" if offset < timedelta() else "+"
    seconds = int(abs(offset).total_seconds())
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"now{sign}{seconds // size}{unit}"
    return f"now{sign}{seconds}s"


def _pattern(pattern: Pattern) -> str:
    # Everything is escaped that is not a wildcard.
    return "".join(
        part.value
        if isinstance(part, Wild)
        else re.sub(r"([^A-Za-z0-9_.])", r"\\\1", part)
        for part in pattern
    )
