"""Set-based SQL: many rows a statement, bound on the server.

Django's cursor writes every parameter into the text of the statement; a batch is many
thousand values, and arrays that the server binds cost a fraction of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, LiteralString

import psycopg
from django.db import connection


def run(statement: LiteralString, params: Sequence[Any] = ()) -> int:
    """Execute; return how many rows it concerned."""
    with connection.wrap_database_errors, _walled(), _cursor() as cursor:
        return cursor.execute(statement, params).rowcount


def fetch(statement: LiteralString, params: Sequence[Any] = ()) -> list[Any]:
    """Execute; return all rows."""
    with connection.wrap_database_errors, _walled(), _cursor() as cursor:
        return cursor.execute(statement, params).fetchall()


def columns_of(rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Turn rows into one array literal a column, for ``unnest``.

    Written here, because psycopg's own writing of arrays took a quarter of a batch.
    """
    if not rows:
        return ["{}"] * width
    return [_array(column) for column in zip(*rows, strict=True)]


# What str() makes of these can stand in an array as it is.
_PLAIN = frozenset({int, float, bool, datetime})


def _array(values: Sequence[Any]) -> str:
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


def _walled() -> AbstractContextManager[None]:
    found: AbstractContextManager[None] = connection.walled()  # type: ignore[attr-defined]
    return found


def _cursor() -> psycopg.Cursor[Any]:
    cursor: psycopg.Cursor[Any] = psycopg.Cursor(connection.connection)
    cursor.format = psycopg.pq.Format.BINARY  # times need no reading of text then
    return cursor
