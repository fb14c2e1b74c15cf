"""Search the fleet of an earlier moment; the answer has the form of any search."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from fleet.backends.counted_values import facet_rows
from fleet.exceptions import BadCursor
from fleet.fields import Field, FieldRef, Kind, resolve_field
from fleet.query.parser import parse
from fleet.query.sql import SqlCompiler
from fleet.query.tree import conditions_of
from fleet.selectors.past_fleet import (
    KNOWN,
    check_known,
    check_moment,
    check_tree,
    list_values,
    past_fleet,
)
from fleet.selectors.search import (
    DEFAULT_LIMIT,
    DEFAULT_SORT,
    LARGEST_LIMIT,
    SearchResult,
)
from iotplatform.common.version_key import version_key
from registry.models import Tenant

MOST_COUNTED = 10_000  # values of a facet, as in the search of today
LARGEST_ID = 2**63
SEARCH_SQL = """
    WITH hit AS MATERIALIZED (
        SELECT fleet.*, {key} AS key FROM ({fleet}) fleet WHERE {condition}
    )
    SELECT (SELECT count(*) FROM hit),
        (SELECT json_agg(page)::text FROM (
            SELECT id, key, {columns} FROM hit WHERE {after}
            ORDER BY key {direction} NULLS LAST, id LIMIT %(most)s
        ) page){facets}
"""
FACET_SQL = """,
        (SELECT json_agg(json_build_array(value, number))::text FROM (
            SELECT {column} AS value, count(*) AS number FROM hit
            WHERE {column} IS NOT NULL GROUP BY 1
            ORDER BY number DESC, value LIMIT %(counted)s
        ) facet)"""


@dataclass(frozen=True)
class _Order:
    """How the results are sorted; ``text`` is what a cursor is made for."""

    field: Field
    descending: bool
    text: str

    @property
    def is_version(self) -> bool:
        return self.field.kind is Kind.VERSION

    @property
    def key(self) -> str:
        if self.is_version:
            return f'(%(keys)s::jsonb ->> fleet.{self.field.name}) COLLATE "C"'
        if self.field.kind is Kind.NUMBER:
            return f"fleet.{self.field.name}"
        return f'lower(fleet.{self.field.name}) COLLATE "C"'


def search_as_of(
    *,
    tenants: Sequence[Tenant],
    q: str,
    at: datetime,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    facets: Sequence[str] = (),
) -> SearchResult:
    """Return the devices of these tenants that matched at a moment, as they were then.

    Raises QueryError (the query, ``sort`` or ``facets``), BadCursor, and BadInput that
    names ``as_of``.
    """
    check_moment(at, now=timezone.now(), parameter="as_of")
    tree = parse(q)
    check_tree(tree)
    order = _read_sort(sort or DEFAULT_SORT, at)
    refs = _read_facets(facets)
    limit = max(1, min(limit, LARGEST_LIMIT))
    asked = [node.field for node in conditions_of(tree) if node.field is not None]
    if order.is_version:
        asked.append(FieldRef(order.field.name))
    values = list_values(asked, tenants=tenants, at=at)
    compiler = SqlCompiler(values)
    condition = compiler.condition(tree)
    fleet, params = past_fleet(tenants, "at")
    after, place = _after(cursor, order)
    params |= compiler.params | place
    params |= {"at": at, "most": limit + 1, "counted": MOST_COUNTED + 1}
    if order.is_version:
        spelt = values[order.field.name]
        params["keys"] = json.dumps({text: version_key(text) for text in spelt})
    statement = SEARCH_SQL.format(
        key=order.key,
        fleet=fleet,
        condition=condition,
        columns=", ".join(KNOWN),
        after=after,
        direction="DESC" if order.descending else "ASC",
        facets="".join(FACET_SQL.format(column=ref.name) for ref in refs),
    )
    with connection.cursor() as database:
        database.execute(statement, params)
        total, page, *counted = database.fetchone()
    rows = json.loads(page or "[]")
    more, rows = len(rows) > limit, rows[:limit]
    last = _write_cursor(order, rows[-1]) if more else None
    documents = [{name: row[name] for name in KNOWN} for row in rows]
    shown = {
        str(ref): _facet(ref, json.loads(found or "[]"))
        for ref, found in zip(refs, counted, strict=True)
    }
    return SearchResult(total, 0.0, documents, shown, last)


def _read_sort(text: str, at: datetime) -> _Order:
    ref = resolve_field(text.removeprefix("-"), source="sort")
    check_known(ref, source="sort")
    return _Order(ref.field, text.startswith("-"), f"{text} {at.isoformat()}")


def _read_facets(names: Sequence[str]) -> list[FieldRef]:
    refs = [resolve_field(name.strip(), source="facets") for name in names]
    for ref in refs:
        check_known(ref, source="facets")
    return list(dict.fromkeys(refs))


def _facet(ref: FieldRef, pairs: list[list[Any]]) -> list[dict[str, Any]]:
    rows = [{"value": value, "count": count} for value, count in pairs[:MOST_COUNTED]]
    return facet_rows(ref, rows, is_exact=len(pairs) <= MOST_COUNTED)


def _write_cursor(order: _Order, row: dict[str, Any]) -> str:
    text = json.dumps([order.text, row["key"], row["id"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _after(cursor: str | None, order: _Order) -> tuple[str, dict[str, Any]]:
    """Return the condition of the rows after a cursor; raises BadCursor."""
    if not cursor:
        return "TRUE", {}
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        made_for, key, device_id = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadCursor from error
    is_number = order.field.kind is Kind.NUMBER
    fits = key is None or (
        type(key) is int and abs(key) < LARGEST_ID
        if is_number
        else isinstance(key, str) and key.isprintable()
    )
    if (
        made_for != order.text
        or not fits
        or type(device_id) is not int
        or abs(device_id) >= LARGEST_ID
    ):
        raise BadCursor
    params = {"after_key": key, "after_id": device_id}
    if key is None:
        return "key IS NULL AND id > %(after_id)s", {"after_id": device_id}
    sign = "<" if order.descending else ">"
    return (
        f"(key {sign} %(after_key)s OR key = %(after_key)s AND id > %(after_id)s"
        " OR key IS NULL)",
        params,
    )
