"""Compiles the syntax tree to tantivy's queries."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import tantivy

from fleet.backends.columns import (
    SORT,
    TENANT_ID,
    WORD,
    WORDS,
    equal_column,
    pattern_column,
    sort_column,
)
from fleet.backends.date_ranges import date_range
from fleet.backends.engine import Limits
from fleet.backends.number_ranges import number_ranges
from fleet.backends.tantivy_index import faults
from fleet.backends.tantivy_schema import json_path
from fleet.fields import WORD_FIELDS, FieldRef, Kind
from fleet.normal_forms import (
    equal_form,
    pattern_form,
    scalar_form,
    searched_tokens,
)
from fleet.query.tree import (
    All,
    And,
    Between,
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
    conditions_of,
)
from iotplatform.common.version_key import version_key
from registry.member_limit import Limit

Query: TypeAlias = tantivy.Query
MUST, SHOULD, MUST_NOT = (
    tantivy.Occur.Must,
    tantivy.Occur.Should,
    tantivy.Occur.MustNot,
)
FLOAT, INTEGER = tantivy.FieldType.Float, tantivy.FieldType.Integer
ANY_ONE_OR_NONE = r"(?s:.)?"
SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$#&~-])")  # of a regular expression


def both(*queries: Query) -> Query:
    """Return a query for documents that all of these find."""
    if len(queries) == 1:
        return queries[0]
    return Query.boolean_query([(MUST, query) for query in queries])


def either(*queries: Query) -> Query:
    """Return a query for documents that any of these finds."""
    if len(queries) < 2:
        return queries[0] if queries else Query.empty_query()
    return Query.boolean_query([(SHOULD, query) for query in queries])


def without(query: Query) -> Query:
    """Return a query for documents that this one does not find."""
    # A boolean query with negations alone finds nothing, so it starts with all.
    return Query.boolean_query([(MUST, Query.all_query()), (MUST_NOT, query)])


def regex_of(pattern: Pattern) -> str:
    """Return tantivy's regular expression of a pattern in its normal form."""
    return "".join(
        {Wild.MANY: r"(?s:.)*", Wild.ONE: r"(?s:.)"}[part]
        if isinstance(part, Wild)
        else SPECIAL.sub(r"\\\1", part)
        for part in pattern
    )


@dataclass(frozen=True)
class TenantQuery:
    """A query within tenants, and what tells it from others; None: it is not kept."""

    query: Query
    key: Hashable


class Compiler:
    """Compiles trees for one index at one moment."""

    def __init__(self, index: tantivy.Index, *, now: datetime) -> None:
        self.index = index
        self.schema = index.schema
        self.now = now

    def for_tenants(self, node: Node, tenants: Limits) -> TenantQuery:
        """Compile a tree, restricted to these tenants and their member limits."""
        with faults():
            query = Query.boolean_query(
                [(MUST, self._allowed(tenants)), *self._clauses(node)]
            )
        return TenantQuery(query, _key(node, tenants))

    def _allowed(self, tenants: Limits) -> Query:
        return either(
            *(
                self._tenant(pk) if limit is None else self._limited(pk, limit)
                for pk, limit in tenants.items()
            )
        )

    def _clauses(self, node: Node) -> list[tuple[tantivy.Occur, Query]]:
        """Return the clauses of a tree: side by side they cost less than nested."""
        items = node.items if isinstance(node, And) else (node,)
        return [
            (MUST_NOT, self.compile(item.item))
            if isinstance(item, Not)
            else (MUST, self.compile(item))
            for item in _with_whole_ranges(items)
            if not isinstance(item, All)
        ]

    def _tenant(self, tenant_id: int) -> Query:
        return Query.term_query(self.schema, TENANT_ID, tenant_id, "basic")

    def _limited(self, tenant_id: int, limit: Limit) -> Query:
        places = [("project", slug) for slug in limit.projects.values()]
        places += [("site", slug) for slug in limit.sites.values()]
        return both(
            self._tenant(tenant_id),
            either(*(self._equals(FieldRef(field), slug) for field, slug in places)),
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
                return either(*(self._words(n + WORDS, words) for n in _names(field)))
            case WordLike(pattern, field):
                form = pattern_form(None, pattern)
                return either(*(self._like(n + WORD, form) for n in _names(field)))
            case Equals(field, value):
                return self._equals(field, value)
            case Like(field, pattern):
                form = pattern_form(field.field, pattern)
                return self._like(pattern_column(field.field), form)
            case Exists(field):
                return exists(field)
            case Between():
                return self._between(node)

    def _words(self, column: str, words: tuple[str, ...]) -> Query:
        tokens, is_start = searched_tokens(words)
        if is_start:
            expressions = [regex_of((token,)) for token in tokens]
            expressions[-1] += ANY_ONE_OR_NONE
            if len(tokens) == 1:
                return Query.regex_query(self.schema, column, expressions[0])
            return Query.regex_phrase_query(self.schema, column, list(expressions))
        if len(tokens) == 1:
            return Query.term_query(self.schema, column, tokens[0])
        return Query.phrase_query(self.schema, column, list(tokens))

    def _like(self, column: str, pattern: Pattern) -> Query:
        return Query.regex_query(self.schema, column, regex_of(pattern))

    def _term(self, column: str, text: str) -> Query:
        return Query.term_query(self.schema, column, text, "basic")

    def _equals(self, ref: FieldRef, value: Value) -> Query:
        if isinstance(value, bool):
            return self._term(ref.name, "true" if value else "false")
        if ref.kind is Kind.JSON:
            column = f"{json_path(ref.name, ref.path)}.$e"
            return self._term(column, scalar_form(str(value)))
        if isinstance(value, str):
            return self._term(equal_column(ref.field), equal_form(ref.field, value))
        return self._between(Between(ref, value, value))

    def _between(self, node: Between) -> Query:
        kind = node.field.kind
        if kind is Kind.VERSION:
            return self._version_range(node)
        if kind is Kind.JSON:
            return self._json_range(node.field, node)
        if kind is Kind.DATE:
            return self._date_range(node)
        low, high = (
            None if end is None else float(str(end)) + 0.0  # -0 is 0
            for end in (node.low, node.high)
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
            None if end is None else float(str(end)) + 0.0  # -0 is 0
            for end in (node.low, node.high)
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
        begin = "[" if has_low or low is None else "{"
        end = "]" if has_high or high is None else "}"
        # One range, not two: the columns of text keys have one value.
        text = f"{column}:{begin}{low or '*'} TO {high or '*'}{end}"
        return self.index.parse_query(text)

    def _date_range(self, node: Between) -> Query:
        low, high, has_low, has_high = date_range(node, self.now)
        return Query.range_query(
            self.schema, node.field.name, INTEGER, low, high, has_low, has_high
        )


def exists(ref: FieldRef) -> Query:
    """Return a query for documents in which the field has a value."""
    if ref.kind is Kind.JSON:
        return Query.exists_query(json_path(ref.name, ref.path), json_subpaths=True)
    if ref.kind is Kind.TEXT:
        return Query.exists_query(sort_column(ref.field))
    return Query.exists_query(ref.name)


def _with_whole_ranges(items: Sequence[Node]) -> list[Node]:
    """Return the conditions, a lower and an upper end of a field as one range.

    Each range looks at a whole column. Below a JSON field a key may have several
    values: there one may satisfy the one end, and another the other.
    """
    found: list[Node] = []
    lows: dict[FieldRef, int] = {}  # where the range is that has a lower end only
    highs: dict[FieldRef, int] = {}
    for item in items:
        if not isinstance(item, Between) or item.field.kind is Kind.JSON:
            found.append(item)
        elif item.high is None and item.field in highs:
            place = highs.pop(item.field)
            found[place] = _range_of(item, found[place])
        elif item.low is None and item.field in lows:
            place = lows.pop(item.field)
            found[place] = _range_of(found[place], item)
        else:
            if item.high is None or item.low is None:
                (lows if item.high is None else highs)[item.field] = len(found)
            found.append(item)
    return found


def _range_of(lower: Node, upper: Node) -> Between:
    assert isinstance(lower, Between)
    assert isinstance(upper, Between)
    return replace(lower, high=upper.high, has_high=upper.has_high)


def _key(node: Node, tenants: Limits) -> Hashable:
    """Return what tells a query from others; None if its answer changes with time."""
    for found in conditions_of(node):
        if isinstance(found, Equals):
            ends: tuple[Any, ...] = (found.value,)
        else:
            ends = (found.low, found.high) if isinstance(found, Between) else ()
        if any(isinstance(end, RelativeTime) for end in ends):
            return None
    limits = [
        (pk, limit and (tuple(limit.projects.values()), tuple(limit.sites.values())))
        for pk, limit in tenants.items()
    ]
    return node, tuple(limits)


def _names(field: FieldRef | None) -> tuple[str, ...]:
    return WORD_FIELDS if field is None else (field.name,)
