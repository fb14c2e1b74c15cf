"""PostgreSQL's array literals, written faster than psycopg does it.

Its own writing of the arrays of a batch took a quarter of the batch. Of numbers and
times a JSON array without its brackets reads the same to PostgreSQL, ``null`` and
quoted times among it, and msgspec writes a value in 0.02 µs, where ``str`` of a time
takes 0.9 µs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import isfinite
from types import NoneType
from typing import Any

import msgspec

_AS_JSON = frozenset({int, bool, datetime, NoneType})
_NUMBERS = frozenset({int, float})

_encoder = msgspec.json.Encoder()


def array_of(values: Sequence[Any]) -> str:
    """Write one column; most are of one type, and need no look at each value."""
    kinds = set(map(type, values))
    # JSON has no infinity and no NaN: msgspec would write null.
    if kinds <= _AS_JSON or (kinds <= _NUMBERS and all(map(isfinite, values))):
        return "{" + _encoder.encode(values)[1:-1].decode() + "}"
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
