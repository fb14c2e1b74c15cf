"""Searches within tenants: results, counts, facets and members."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.utils import timezone

from fleet.backends.engine import (
    BadIndexQuery,
    Compiled,
    Compiler,
    IndexFault,
    Place,
    Reader,
    Search,
)
from fleet.exceptions import (
    BadCursor,
    IndexUnavailable,
    IndexUnreachable,
    QueryError,
)
from fleet.fields import Field, FieldRef, Kind, resolve_field
from fleet.query.keys import Keys, open_keys
from fleet.query.parser import parse
from fleet.query.tree import Node, conditions_of
from fleet.selectors.known_keys import known_keys
from fleet.selectors.lag import IndexStatus, current_reader, get_index_status
from iotplatform.common import bulk_sql
from registry.models import Tenant
from registry.selectors.access import sql_within

DEFAULT_LIMIT, LARGEST_LIMIT = 100, 1_000
DEFAULT_SORT = "uid"
MOST_FACETS = 32  # the fleet page counts 17, and the attributes that products declare
LARGEST_INTEGER = 2**63
CANNOT = "The index cannot answer this query."
SORT_KEY = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class SearchResult:
    """One page of a search, with total and facets of the whole result."""

    total: int
    index_lag_seconds: float
    results: list[dict[str, Any]]
    facets: dict[str, list[dict[str, Any]]]
    next_cursor: str | None


class Member(NamedTuple):
    """A device that matched, as the database has it."""

    device_id: int
    uid: str


@dataclass(frozen=True)
class Members:
    """Every device that matches, checked in PostgreSQL, and the lag of the index."""

    members: list[Member]
    index_lag_seconds: float


def search(
    *,
    tenants: Iterable[Tenant],
    q: str,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = DEFAULT_LIMIT,
    facets: Sequence[str] = (),
    status: IndexStatus | None = None,
) -> SearchResult:
    """Return the devices of these tenants that match; ``status`` as in ``open_search``.

    Raises QueryError (the query, ``sort`` or ``facets``), BadCursor, IndexUnavailable.
    """
    # Read before the search: a change in between makes the lag too large, never too
    # small.
    status = status or get_index_status()
    field, descending = _read_sort(sort or DEFAULT_SORT)
    tenants = list(tenants)
    refs = _read_facets(facets, known_keys(tenants))
    after = _read_cursor(cursor, sort or DEFAULT_SORT) if cursor else None
    limit = max(1, min(limit, LARGEST_LIMIT))
    with answering():
        reader, found = _opened(tenants, q, status)
        _check_fields(reader, [field.name])
        page = found.page(field, descending=descending, after=after, limit=limit)
        counted = found.facets([ref for ref in refs if ref.name in reader.fields])
    following = _write_cursor(page.last, sort or DEFAULT_SORT) if page.last else None
    shown = {str(ref): counted.get(ref, []) for ref in refs}
    return SearchResult(
        page.total, status.lag_seconds, page.documents, shown, following
    )


def count(*, tenants: Iterable[Tenant], q: str) -> int:
    """Return how many devices of these tenants match."""
    with answering():
        return open_search(tenants, q).count()


def list_members(*, tenants: Iterable[Tenant], q: str) -> Members:
    """Return every device that matches; PostgreSQL checks its tenant again."""
    tenants = list(tenants)
    status = get_index_status()
    with answering():
        ids = open_search(tenants, q, status).device_ids()
    members = check_members(tenants=tenants, device_ids=ids)
    return Members(members, status.lag_seconds)


def member_uids(*, tenants: Iterable[Tenant], q: str) -> list[str]:
    """Return the sorted uids of every device that matches."""
    found = list_members(tenants=tenants, q=q)
    return sorted(member.uid for member in found.members)


def check_members(*, tenants: Iterable[Tenant], device_ids: list[int]) -> list[Member]:
    """Return the devices that these tenants own now, in key order."""
    return _members("d.id = ANY(%s::bigint[])", device_ids, tenants)


def find_members(*, tenants: Iterable[Tenant], uids: list[str]) -> list[Member]:
    """Return the tenants' devices with these uids, in key order."""
    return _members("d.uid = ANY(%s::text[])", uids, tenants)


def validate_query(q: str, *, tenants: Iterable[Tenant]) -> None:
    """Check a query for use within these tenants; raises QueryError."""
    parse(q, known_keys(list(tenants)))


def _members(
    condition: str, values: list[Any], tenants: Iterable[Tenant]
) -> list[Member]:
    access, params = sql_within(tenants, "d")
    # One array parameter: an IN list of 80,000 would be 80,000 parameters.
    statement = (
        f"SELECT id, uid FROM registry_device d WHERE {condition} AND {access}"
        " ORDER BY id"
    )
    return list(map(Member._make, bulk_sql.fetch(statement, [values, *params])))


@contextmanager
def answering() -> Iterator[None]:
    """Turn a fault of the index into a refusal: the query's, or that there is none."""
    try:
        yield
    except BadIndexQuery as fault:
        raise QueryError(CANNOT) from fault
    except IndexFault as fault:
        raise IndexUnreachable from fault


def open_search(
    tenants: Iterable[Tenant], q: str, status: IndexStatus | None = None
) -> Search:
    """Compile a query within the tenants; its text cannot widen the access.

    Who opens several gives the index's ``status``, which else each asks for.
    """
    return _opened(list(tenants), q, status)[1]


def _opened(
    tenants: Sequence[Tenant], q: str, status: IndexStatus | None = None
) -> tuple[Reader, Search]:
    keys = known_keys(tenants)
    tree = parse(q, keys)
    reader = current_reader(status)
    _check_fields(reader, (n.field.name for n in conditions_of(tree) if n.field))
    compiler = reader.compiler(timezone.now())

    def opened(node: Node) -> Search:
        return reader.search(compiler, compile_within(compiler, node, tenants))

    for node in open_keys(tree, keys):
        if not opened(node).count():
            raise QueryError(f"No device has '{node.field}'.", node.position)
    return reader, opened(tree)


def _check_fields(reader: Reader, names: Iterable[str]) -> None:
    """Raise IndexUnavailable if the index, of an older version, lacks such a field."""
    if missing := sorted(set(names) - reader.fields):
        raise IndexUnavailable(
            f"'{missing[0]}' can be searched when the index has been rebuilt for this"
            " version. Try again later."
        )


def compile_within(
    compiler: Compiler, tree: Node, tenants: Iterable[Tenant]
) -> Compiled:
    """Return the query of a tree within the tenants and their member limits."""
    try:
        return compiler.for_tenants(
            tree, {tenant.pk: tenant.limit for tenant in tenants}
        )
    except IndexFault as fault:
        raise QueryError(CANNOT) from fault


def _read_sort(text: str) -> tuple[Field, bool]:
    name, descending = text.removeprefix("-"), text.startswith("-")
    ref = resolve_field(name, source="sort")
    if not ref.field.sorts:
        reason = "several values" if ref.field.is_list else "values of any type"
        raise QueryError(f"'{name}' has {reason}; sort by another field.", field="sort")
    return ref.field, descending


def _read_facets(names: Sequence[str], keys: Keys) -> list[FieldRef]:
    refs = [resolve_field(name.strip(), source="facets") for name in names]
    for ref in refs:
        if ref.path:
            keys.check(ref, source="facets")
        if not ref.field.facets:
            raise QueryError(
                f"'{ref}' is a {ref.kind} field. Its values cannot be counted.",
                field="facets",
            )
    if len(refs) > MOST_FACETS:
        raise QueryError(f"At most {MOST_FACETS} facets at a time.", field="facets")
    return list(dict.fromkeys(refs))


def _write_cursor(place: Place, sort: str) -> str:
    text = json.dumps([sort, place.value, place.device_id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, sort: str) -> Place:
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        made_for, value, device_id = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, TypeError, binascii.Error) as error:
        raise BadCursor from error
    field, _ = _read_sort(sort)
    if (
        made_for != sort
        or not _fits(field, value)
        or type(device_id) is not int
        or abs(device_id) >= LARGEST_INTEGER
    ):
        raise BadCursor
    return Place(value, device_id)


def _fits(field: Field, value: Any) -> bool:
    """Whether the value of a cursor fits this field."""
    if value is None:
        return True
    if field.kind is Kind.DATE:
        return type(value) is int and abs(value) < LARGEST_INTEGER
    if field.kind is Kind.NUMBER:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, str) and SORT_KEY.fullmatch(value) is not None
