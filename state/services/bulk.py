"""Set-based SQL: many rows a statement, bound on the server.

Django's cursor writes every parameter into the text of the statement; a batch is many
thousand values, and arrays that the server binds cost a fraction of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

import psycopg
from django.db import connection


def run(statement: LiteralString, params: Sequence[Any] = ()) -> int:
    """Execute; return how many rows it concerned."""
    with connection.wrap_database_errors, _cursor() as cursor:
        return cursor.execute(statement, params).rowcount


def fetch(statement: LiteralString, params: Sequence[Any] = ()) -> list[Any]:
    """Execute; return all rows."""
    with connection.wrap_database_errors, _cursor() as cursor:
        return cursor.execute(statement, params).fetchall()


def columns_of(rows: Sequence[Sequence[Any]], width: int) -> list[list[Any]]:
    """Turn rows into one list a column, for ``unnest``."""
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]


def _cursor() -> psycopg.Cursor[Any]:
    connection.ensure_connection()
    return psycopg.Cursor(connection.connection)
