"""Set-based SQL: many rows a statement, bound on the server.

Django's cursor writes every parameter into the text of the statement; a batch is many
thousand values, and arrays that the server binds cost a fraction of that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from math import isfinite
from types import NoneType
from typing import Any, LiteralString

import msgspec
import psycopg
from django.db import connection
from django.db.models import Field, Model


def run(statement: LiteralString, params: Sequence[Any] = ()) -> int:
    """Execute; return how many rows it concerned."""
    with connection.wrap_database_errors, _in_scope(), _cursor() as cursor:
        return cursor.execute(statement, _bound(params)).rowcount


def fetch(statement: LiteralString, params: Sequence[Any] = ()) -> list[Any]:
    """Execute; return all rows."""
    with connection.wrap_database_errors, _in_scope(), _cursor() as cursor:
        return cursor.execute(statement, _bound(params)).fetchall()


def unnest(model: type[Model], *columns: str) -> str:
    """Return ``unnest(%s::bigint[], …) AS v(device_id, …)``: one array a column.

    The types are those of the model's columns; ``columns_of`` makes the arrays.
    """
    return f"unnest({arrays_of(model, *columns)}) AS v({', '.join(columns)})"


def arrays_of(model: type[Model], *columns: str) -> str:
    """Return ``%s::bigint[], …``: one array a column, of the model's types."""
    fields = {field.column: field for field in model._meta.concrete_fields}
    return ", ".join(f"%s::{_type_of(fields[name])}[]" for name in columns)


def update_by_key(model: type[Model], *columns: str) -> str:
    """Return the UPDATE of these columns from one array a column, the key's first."""
    key = _key_of(model)
    pairs = ", ".join(f"{name} = v.{name}" for name in columns)
    return (
        f"UPDATE {model._meta.db_table} AS t SET {pairs}"
        f" FROM {unnest(model, key, *columns)} WHERE t.{key} = v.{key}"
    )


def insert_rows(model: type[Model], *columns: str) -> str:
    """Return the INSERT of rows from one array a column; the table is ``t``."""
    names = ", ".join(columns)
    return (
        f"INSERT INTO {model._meta.db_table} AS t ({names})"
        f" SELECT * FROM {unnest(model, *columns)}"
    )


def _key_of(model: type[Model]) -> str:
    key = model._meta.pk
    assert key is not None  # every model of ours has one
    return str(key.column)


def _type_of(field: Field[Any, Any]) -> str:
    kind = field.db_type(connection)
    assert kind is not None  # it is a column
    # Without a length: a cast to varchar(64) would cut a value, a column refuses it.
    return kind.partition("(")[0]


def lock_or_create(
    lock: LiteralString,
    create: LiteralString,
    keys: Collection[int],
    *,
    before: Sequence[Any] = (),
    after: Sequence[Any] = (),
) -> list[Any]:
    """Lock the rows of these keys, creating those that are missing.

    ``lock`` takes the keys and returns rows that begin with theirs; ``create`` takes
    the missing keys between the parameters ``before`` and ``after``.
    """
    found = fetch(lock, [sorted(keys)])
    missing = sorted(set(keys) - {row[0] for row in found})
    if missing:
        run(create, [*before, missing, *after])
        found += fetch(lock, [missing])
    return found


def columns_of(rows: Sequence[Sequence[Any]], width: int) -> list[str]:
    """Turn rows into one array literal a column, for ``unnest``."""
    if not rows:
        return ["{}"] * width
    return [array_of(column) for column in zip(*rows, strict=True)]


def _bound(params: Sequence[Any]) -> Sequence[Any]:
    """Write lists, of keys mostly, as the columns are written."""
    return [array_of(p) if isinstance(p, list) else p for p in params]


def _in_scope() -> AbstractContextManager[None]:
    found: AbstractContextManager[None] = connection.in_scope()  # type: ignore[attr-defined]
    return found


def _cursor() -> psycopg.Cursor[Any]:
    cursor: psycopg.Cursor[Any] = psycopg.Cursor(connection.connection)
    cursor.format = psycopg.pq.Format.BINARY  # times need no reading of text then
    return cursor


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
