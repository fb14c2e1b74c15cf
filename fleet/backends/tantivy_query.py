"""Compiles the syntax tree to tantivy's queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeAlias

import tantivy

from fleet.backends.documents import milliseconds
from fleet.backends.number_ranges import number_ranges
from fleet.backends.tantivy_schema import (
    SORT,
    TENANT_ID,
    WORDS,
    json_path,
    sort_column,
)
from fleet.fields import WORD_FIELDS, FieldRef, Kind, compared, fold
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
from fleet.query.values import as_number
from fleet.version_key import version_key
from registry.member_limit import Limit

Query: TypeAlias = tantivy.Query
MUST, SHOULD, MUST_NOT = (
    tantivy.Occur.Must,
    tantivy.Occur.Should,
    tantivy.Occur.MustNot,
)
FLOAT, INTEGER = tantivy.FieldType.Float, tantivy.FieldType.Integer
# The earliest and latest moment that the index can hold: open ends of a date range.
EARLIEST, LATEST = -(2**62), 2**62

SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")  # of a regular expression


def both(*queries: Query) -> Query:
    """Return a query for documents that all of these find."""
    return Query.boolean_query([(MUST, query) for query in queries])


def either(*queries: Query) -> Query:
    """Return a query for documents that any of these finds."""
    if not queries:
        return Query.empty_query()
    return Query.boolean_query([(SHOULD, query) for query in queries])


def without(query: Query) -> Query:
    """Return a query for documents that this one does not find."""
    # A boolean query with negations alone finds nothing, so it starts with all.
    return Query.boolean_query([(MUST, Query.all_query()), (MUST_NOT, query)])


def regex_of(pattern: Pattern, *, is_exact: bool = False) -> str:
    """Return tantivy's regular expression of a pattern."""
    return "".join(
        {Wild.MANY: r"(?s:.)*", Wild.ONE: r"(?s:.)"}[part]
        if isinstance(part, Wild)
        else SPECIAL.sub(r"\\\1", part if is_exact else fold(part))
        for part in pattern
    )


class Compiler:
    """Compiles trees for one index at one moment."""

    def __init__(self, index: tantivy.Index, *, now: datetime) -> None:
        self.index = index
        self.schema = index.schema
        self.now = now

    def for_tenants(self, node: Node, tenants: Mapping[int, Limit | None]) -> Query:
        """Compile a tree, restricted to these tenants and their member limits."""
        if not tenants:
            return Query.empty_query()
        whole = [pk for pk, limit in tenants.items() if limit is None]
        allowed = [self._limited(pk, limit) for pk, limit in tenants.items() if limit]
        if whole:
            allowed.append(Query.term_set_query(self.schema, TENANT_ID, whole))
        return both(either(*allowed), self.compile(node))

    def _limited(self, tenant_id: int, limit: Limit) -> Query:
        places = [("project", slug) for slug in limit.projects.values()]
        places += [("site", slug) for slug in limit.sites.values()]
        return both(
            Query.term_set_query(self.schema, TENANT_ID, [tenant_id]),
            either(*(self._term(field, fold(slug)) for field, slug in places)),
        )

    def compile(self, node: Node) -> Query:
        """Return tantivy's query of a tree."""
        match node:
            case All():
                return Query.all_query()
            case And(items):
                return both(*map(self.compile, items))
            case Or(items):
                return either(*map(self.compile, items))
            case Not(item):
                return without(self.compile(item))
            case Words(words, field):
                return either(*(self._words(c, words) for c in _columns(field)))
            case WordLike(pattern, field):
                return either(*(self._like(c, pattern) for c in _columns(field)))
            case Equals(field, value):
                return self._equals(field, value)
            case Like(field, pattern):
                return self._like(field.name, pattern, is_exact=field.field.is_exact)
            case Exists(field):
                return exists(field)
            case Between():
                return self._between(node)

    def _words(self, column: str, words: tuple[str, ...]) -> Query:
        if len(words) == 1:
            return Query.term_query(self.schema, column, words[0])
        return Query.phrase_query(self.schema, column, list(words))

    def _like(self, column: str, pattern: Pattern, *, is_exact: bool = False) -> Query:
        expression = regex_of(pattern, is_exact=is_exact)
        return Query.regex_query(self.schema, column, expression)

    def _term(self, column: str, text: str) -> Query:
        return Query.term_query(self.schema, column, text, "basic")

    def _equals(self, ref: FieldRef, value: Value) -> Query:
        if isinstance(value, bool):
            return self._term(ref.name, "true" if value else "false")
        if ref.kind is Kind.JSON:
            return self._json_equals(ref, str(value))
        if ref.kind is Kind.VERSION:
            return self._term(ref.name + SORT, version_key(str(value)))
        if isinstance(value, str):
            return self._term(ref.name, compared(ref.field, value))
        return self._between(Between(ref, value, value))

    def _json_equals(self, ref: FieldRef, text: str) -> Query:
        path = json_path(ref.name, ref.path)
        queries = [self._term(f"{path}.$s", fold(f"={text}"))]
        if (number := as_number(text)) is not None:
            queries.append(self._json_range(ref, Between(ref, number, number)))
        return either(*queries)

    def _between(self, node: Between) -> Query:
        kind = node.field.kind
        if kind is Kind.VERSION:
            return self._version_range(node)
        if kind is Kind.JSON:
            return self._json_range(node.field, node)
        if kind is Kind.DATE:
            return self._date_range(node)
        low, high = (
            None if end is None else float(str(end)) for end in (node.low, node.high)
        )
        return Query.range_query(
            self.schema, node.field.name, FLOAT, low, high, node.has_low, node.has_high
        )

    def _version_range(self, node: Between) -> Query:
        low, high = (
            None if end is None else version_key(str(end))
            for end in (node.low, node.high)
        )
        return self.text_range(
            node.field.name + SORT, low, high, node.has_low, node.has_high
        )

    def _json_range(self, ref: FieldRef, node: Between) -> Query:
        low, high = (
            None if end is None else float(str(end)) for end in (node.low, node.high)
        )
        column = f"{json_path(ref.name, ref.path)}.$n"
        return either(
            *(
                self.index.parse_query(f"{column}:{part}")
                for part in number_ranges(low, high, node.has_low, node.has_high)
            )
        )

    def text_range(
        self,
        column: str,
        low: str | None,
        high: str | None,
        has_low: bool = True,
        has_high: bool = True,
    ) -> Query:
        """Return a range of text keys, in the syntax of tantivy's own parser."""
        ends = []
        if low is not None:
            ends.append(f"{column}:{'[' if has_low else '{'}{low} TO *]")
        if high is not None:
            ends.append(f"{column}:[* TO {high}{']' if has_high else '}'}")
        return both(*(self.index.parse_query(text) for text in ends))

    def _date_range(self, node: Between) -> Query:
        low, has_low = self._from(node.low, node.has_low)
        high, has_high = self._until(node.high, node.has_high)
        return Query.range_query(
            self.schema, node.field.name, INTEGER, low, high, has_low, has_high
        )

    def _from(self, value: Value | None, included: bool) -> tuple[int, bool]:
        """Return the lower end; "after a day" means after its last moment."""
        if value is None:
            return EARLIEST, True
        if isinstance(value, Day):
            start = milliseconds(value.start)
            return (start, True) if included else (start + 86_400_000, True)
        return self._moment(value), included

    def _until(self, value: Value | None, included: bool) -> tuple[int, bool]:
        """Return the upper end; "until a day" means until its last moment."""
        if value is None:
            return LATEST, True
        if isinstance(value, Day):
            start = milliseconds(value.start)
            return (start + 86_400_000 if included else start), False
        return self._moment(value), included

    def _moment(self, value: Value) -> int:
        if isinstance(value, RelativeTime):
            return milliseconds(self.now) + value.offset // timedelta(milliseconds=1)
        assert isinstance(value, datetime)
        return milliseconds(value)


def exists(ref: FieldRef) -> Query:
    """Return a query for documents in which the field has a value."""
    if ref.kind is Kind.JSON:
        return Query.exists_query(json_path(ref.name, ref.path), json_subpaths=True)
    if ref.kind is Kind.TEXT:
        return Query.exists_query(sort_column(ref.field))
    return Query.exists_query(ref.name)


def _columns(field: FieldRef | None) -> list[str]:
    names = WORD_FIELDS if field is None else (field.name,)
    return [name + WORDS for name in names]
