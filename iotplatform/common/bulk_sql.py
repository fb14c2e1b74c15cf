"""Set-based SQL: many rows a statement, bound on the server.

Django's cursor writes every parameter into the text of the statement; a batch is many
thousand values, and arrays that the server binds cost a fraction of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, LiteralString

import psycopg
from django.db import connection

from iotplatform.common.arrays import array_of


def run(statement: LiteralString, params: Sequence[Any] = ()) -> int:
    """Execute; return how many rows it concerned."""
    with connection.wrap_database_errors, _walled(), _cursor() as cursor:
        return cursor.execute(statement, _bound(params)).rowcount


def fetch(statement: LiteralString, params: Sequence[Any] = ()) -> list[Any]:
    """Execute; return all rows."""
    with connection.wrap_database_errors, _walled(), _cursor() as cursor:
        return cursor.execute(statement, _bound(params)).fetchall()


def columns_of(rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Turn rows into one array literal a column, for ``unnest``."""
    if not rows:
        return ["{}"] * width
    return [array_of(column) for column in zip(*rows, strict=True)]


def _bound(params: Sequence[Any]) -> Sequence[Any]:
    """Write lists, of keys mostly, as the columns are written."""
    return [array_of(p) if isinstance(p, list) else p for p in params]


def _walled() -> AbstractContextManager[None]:
    found: AbstractContextManager[None] = connection.walled()  # type: ignore[attr-defined]
    return found


def _cursor() -> psycopg.Cursor[Any]:
    cursor: psycopg.Cursor[Any] = psycopg.Cursor(connection.connection)
    cursor.format = psycopg.pq.Format.BINARY  # times need no reading of text then
    return cursor
