"""Adding a condition to a query and removing it: the query means what it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fleet.backends.documents import FleetDocument
from fleet.backends.tantivy_index import Reader, readers
from fleet.backends.tantivy_query import Compiler
from fleet.backends.tantivy_search import Search
from fleet.exceptions import QueryError
from fleet.query.clauses import (
    Clause,
    field_clause,
    field_names,
    join_clauses,
    split_query,
)
from fleet.query.parser import parse
from fleet.query.tree import Node
from tests.fleet.index import fill
from tests.fleet.printer import print_query
from tests.fleet.strategies import NOW, documents, queries

# Conditions as people write them, so that AND, OR, NOT and blanks meet in any order.
WRITTEN = st.lists(
    st.sampled_from(
        [
            *["region:x", 'site:"a\\\\"', "NOT tags:B", "NOT drift:true", "rssi:<-70"],
            *["cold", '"a AND b"', "(uid:dev-1 OR region:B)", "name:(a OR b)", "*"],
            *["AND", "OR", "tags:-B", "since:>2026-11-21T10:00:00+08:00"],
        ]
    ),
    min_size=1,
    max_size=7,
).map(" ".join)
FACETS = st.builds(
    field_clause,
    st.sampled_from(["region", "tag", "site", "firmware", "attr.a b", "attr.x:y"]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
    | st.sampled_from(["OR", 'say "x"', "a\\", "*", "-5", "East China", "hq/floor-2"]),
)


def without(query: str, extra: Clause) -> str:
    return join_clauses(row for row in split_query(query) if row != extra)


def with_clause(query: str, extra: Clause) -> str:
    return join_clauses([*split_query(query), extra])


def found(reader: Reader, tree: Node) -> list[int]:
    compiler = Compiler(reader.index, now=NOW)
    query = compiler.for_tenants(tree, {1: None})
    return Search(reader, compiler, query).device_ids()


@given(fleet=documents(), query=queries.map(print_query) | WRITTEN, extra=FACETS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_a_condition_that_is_added_and_removed_changes_no_answer(
    tmp_path_factory: pytest.TempPathFactory,
    fleet: list[FleetDocument],
    query: str,
    extra: Clause,
) -> None:
    try:
        before = parse(query)
    except QueryError:
        assume(False)
    assume(extra not in split_query(query))
    root: Path = tmp_path_factory.mktemp("index")
    fill(root, fleet)
    reader = readers.current(root)

    narrowed = with_clause(query, extra)

    both = set(found(reader, before)) & set(found(reader, extra.node))
    assert found(reader, parse(narrowed)) == sorted(both)
    assert extra in split_query(narrowed)
    restored = without(narrowed, extra)
    assert found(reader, parse(restored)) == found(reader, before)


@given(FACETS)
def test_a_facets_text_parses_to_its_condition(extra: Clause) -> None:
    assert parse(extra.text) == extra.node


@pytest.mark.parametrize(
    ("query", "texts"),
    [
        ("*", ["*"]),
        ('region:"East AND West" AND risk:1', ['region:"East AND West"', "risk:1"]),
        ("(risk:1 AND rssi:2) AND NOT a", ["(risk:1 AND rssi:2)", "NOT a"]),
        ("risk:1 OR rssi:2", ["risk:1 OR rssi:2"]),
        ("risk:[1 TO 2] AND rssi:<-70 ", ["risk:[1 TO 2]", "rssi:<-70"]),
        ("risk:1 rssi:(-2 OR 3)", ["risk:1", "rssi:(-2 OR 3)"]),
        ("tag:-winter NOT risk:1", ["tag:-winter", "NOT risk:1"]),
        ("a b OR c", ["a", "b OR c"]),
        ('site:"a\\\\" AND risk:1', ['site:"a\\\\"', "risk:1"]),
        ("region:(a AND b)", ["region:(a AND b)"]),
    ],
)
def test_a_query_is_split_into_its_conditions(query: str, texts: list[str]) -> None:
    assert [clause.text for clause in split_query(query)] == texts


def test_a_condition_is_added_to_the_whole_query() -> None:
    extra = field_clause("site", "s")

    assert with_clause("*", extra) == "site:s"
    assert with_clause("risk:1", extra) == "risk:1 AND site:s"
    assert with_clause("risk:1 OR rssi:2", extra) == "(risk:1 OR rssi:2) AND site:s"
    assert with_clause("a b OR c", extra) == "a AND (b OR c) AND site:s"


def test_a_condition_is_removed_however_it_was_quoted() -> None:
    extra = field_clause("site", "s")

    assert without('site:"s" AND risk:1', extra) == "risk:1"
    assert without("site:s", extra) == "*"
    assert without('site:"a\\\\" AND site:s', extra) == 'site:"a\\\\"'


def test_a_value_is_quoted_where_it_needs_it() -> None:
    assert field_clause("region", "East China").text == 'region:"East China"'
    assert field_clause("site", "shanghai-01").text == "site:shanghai-01"
    assert field_clause("name", 'say "OR"').text == 'name:"say \\"OR\\""'
    assert field_clause("tags", "OR").text == 'tags:"OR"'
    assert field_clause("attr.a b", "c").text == "attr.a\\ b:c"


def test_the_fields_that_a_query_asks_for_are_those_outside_of_not() -> None:
    clauses = split_query("(site:a OR risk:>5) AND tag:x AND NOT region:y AND word")

    assert field_names(clauses) == {"site", "risk", "tags"}
