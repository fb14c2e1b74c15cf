"""Compiles the syntax tree to Elasticsearch's queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeAlias

from elasticsearch_dsl import Q

from fleet.backends.columns import (
    EQUAL,
    SORT,
    TENANT_ID,
    WORD,
    WORDS,
    equal_column,
    pattern_column,
    sort_column,
)
from fleet.backends.date_ranges import date_range
from fleet.backends.elastic_schema import FIRST, KEYS, NUMBERS
from fleet.backends.engine import Limits
from fleet.fields import WORD_FIELDS, FieldRef, Kind
from fleet.normal_forms import (
    HIGHEST_NUMBER,
    LOWEST_NUMBER,
    equal_form,
    pattern_form,
    scalar_form,
    searched_tokens,
    sortable_number,
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
    Value,
    Wild,
    WordLike,
    Words,
)
from iotplatform.common.version_key import version_key
from registry.member_limit import Limit

Query: TypeAlias = Any  # a query object of elasticsearch_dsl

SPECIAL = str.maketrans({char: f"\\{char}" for char in "\\*?"})


def query_of(kind: str, /, **params: Any) -> Query:
    """Return a query; ``Q(kind, …)`` would read ``__`` in a column's name as a dot."""
    return Q({kind: params})


NOTHING, EVERYTHING = query_of("match_none"), query_of("match_all")


def both(queries: Iterable[Query]) -> Query:
    """Return a query for documents that all of these find."""
    return query_of("bool", filter=list(queries))


def either(queries: Iterable[Query]) -> Query:
    """Return a query for documents that any of these finds."""
    queries = list(queries)
    if len(queries) < 2:
        return queries[0] if queries else NOTHING
    return query_of("bool", should=queries, minimum_should_match=1)


class Compiler:
    """Compiles trees at one moment."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now

    def for_tenants(self, node: Node, tenants: Limits) -> Query:
        """Compile a tree, restricted to these tenants and their member limits."""
        whole = [str(pk) for pk, limit in tenants.items() if limit is None]
        allowed = [self._limited(pk, limit) for pk, limit in tenants.items() if limit]
        if whole:
            allowed.append(query_of("terms", **{TENANT_ID: whole}))
        return both([either(allowed), self.compile(node)])

    def _limited(self, tenant_id: int, limit: Limit) -> Query:
        places = [("project", limit.projects), ("site", limit.sites)]
        slugs = [
            query_of(
                "terms", **{equal_column(ref.field): [_form(ref, s) for s in found]}
            )
            for ref, found in ((FieldRef(f), list(p.values())) for f, p in places)
            if found
        ]
        return both([query_of("term", **{TENANT_ID: str(tenant_id)}), either(slugs)])

    def compile(self, node: Node) -> Query:
        """Return Elasticsearch's query of a tree."""
        match node:
            case All():
                return EVERYTHING
            case And(items):
                return both(map(self.compile, items))
            case Or(items):
                return either(map(self.compile, items))
            case Not(Not(item)):
                return self.compile(item)
            case Not(item):
                return query_of("bool", must_not=[self.compile(item)])
            case Words(words, field):
                return either(_words(name, words) for name in _names(field))
            case WordLike(pattern, field):
                form = pattern_form(None, pattern)
                return either(_like(n + WORD, form) for n in _names(field))
            case Equals(field, value):
                return self._equals(field, value)
            case Like(field, pattern):
                form = pattern_form(field.field, pattern)
                return _like(pattern_column(field.field), form)
            case Exists(field):
                return exists(field)
            case Between():
                return self._between(node)

    def _equals(self, ref: FieldRef, value: Value) -> Query:
        if isinstance(value, bool):
            return _term(ref.name, "true" if value else "false")
        if ref.kind is Kind.JSON:
            return _term(f"{ref.name}{EQUAL}.{ref.path}", scalar_form(str(value)))
        if isinstance(value, str):
            return _term(equal_column(ref.field), _form(ref, value))
        return self._between(Between(ref, value, value))

    def _between(self, node: Between) -> Query:
        name, kind = node.field.name, node.field.kind
        low: Any
        high: Any
        if kind is Kind.DATE:
            low, high, has_low, has_high = date_range(node, self.now)
            return _range(name, low, high, has_low, has_high)
        if kind is Kind.VERSION:
            name += SORT
            low, high = (
                None if end is None else version_key(str(end))
                for end in (node.low, node.high)
            )
            return _range(name, low, high, node.has_low, node.has_high)
        low, high = (
            None if end is None else float(str(end)) + 0.0
            for end in (node.low, node.high)
        )
        if kind is Kind.JSON:
            name = f"{name}{NUMBERS}.{node.field.path}"
            low = LOWEST_NUMBER if low is None else sortable_number(low)
            high = HIGHEST_NUMBER if high is None else sortable_number(high)
        return _range(name, low, high, node.has_low, node.has_high)


def exists(ref: FieldRef) -> Query:
    """Return a query for documents in which the field has a value."""
    if ref.kind is Kind.JSON:
        return _term(ref.name + KEYS, ref.path)
    return query_of(
        "exists", field=sort_column(ref.field) if ref.field.sorts else ref.name
    )


def _words(name: str, words: tuple[str, ...]) -> Query:
    tokens, is_start = searched_tokens(words)
    column, spans = name + WORDS, []
    if len(tokens) == 1:
        return _term(name + FIRST if is_start else column, tokens[0])
    for token in tokens:
        spans.append(query_of("span_term", **{column: token}))
    if is_start:
        first = query_of("span_term", **{name + FIRST: tokens[-1]})
        spans[-1] = query_of("span_field_masking", query=first, field=column)
    return query_of("span_near", clauses=spans, slop=0, in_order=True)


def _like(column: str, pattern: Pattern) -> Query:
    text = "".join(
        part.value if isinstance(part, Wild) else part.translate(SPECIAL)
        for part in pattern
    )
    return query_of("wildcard", **{column: {"value": text}})


def _term(column: str, text: str) -> Query:
    return query_of("term", **{column: text})


def _range(column: str, low: Any, high: Any, has_low: bool, has_high: bool) -> Query:
    ends = {}
    if low is not None:
        ends["gte" if has_low else "gt"] = low
    if high is not None:
        ends["lte" if has_high else "lt"] = high
    return query_of("range", **{column: ends})


def _form(ref: FieldRef, text: str) -> str:
    return equal_form(ref.field, text)


def _names(field: FieldRef | None) -> tuple[str, ...]:
    return WORD_FIELDS if field is None else (field.name,)
