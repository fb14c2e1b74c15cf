"""PostgreSQL's array literals, written faster than psycopg does it.

Its own writing of the arrays of a batch took a quarter of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

# What str() makes of these can stand in an array as it is.
_PLAIN = frozenset({int, float, bool, datetime})


def array_of(values: Sequence[Any]) -> str:
    """Write one column; most are of one type, and need no look at each value."""
    kinds = set(map(type, values))
    if kinds <= _PLAIN:
        return "{" + ",".join(map(str, values)) + "}"
    if kinds == {str}:
        text = "".join(values)
        if '"' not in text and "\\" not in text:
            return '{"' + '","'.join(values) + '"}'
    return "{" + ",".join([_element(value) for value in values]) + "}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)
