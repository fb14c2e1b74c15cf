"""Properties of the query language, shown with generated queries and texts."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.backends.documents import FleetDocument
from fleet.backends.tantivy_index import readers
from fleet.backends.tantivy_query import Compiler
from fleet.backends.tantivy_search import Search
from fleet.exceptions import QueryError
from fleet.fields import resolve_field
from fleet.query.clauses import field_clause
from fleet.query.parser import parse
from fleet.query.tree import All, Node
from tests.fleet.index import fill
from tests.fleet.printer import print_query
from tests.fleet.reference import matches
from tests.fleet.strategies import NOW, documents, queries

FACETED = ["region", "space", "tags", "firmware", "rssi", "drift"]
FACETED += ["attr.rev", "attr.modem.fw", "attr.a b", "attr.$s"]
PIECES = st.sampled_from(
    [
        *["region", "firmware", "since", "attr.x", "nofield", ":", "(", ")", "[", "]"],
        *["{", "}", '"', " ", " AND ", " OR ", " NOT ", " TO ", "*", "?", "<", ">="],
        *["-", "+", "~", "^", "/", "\\", "now-3d", "1.4.*", "5", "T10:00", "ü", "\n"],
        *["'", "~1.2.3", "^x", "\x00", "\ud800", "!", "&&", "||"],
    ]
)


@given(queries)
@settings(max_examples=300, deadline=None)
def test_a_printed_query_parses_to_the_same_tree(tree: Node) -> None:
    text = print_query(tree)

    assert parse(text) == tree


@given(st.lists(PIECES | st.text(max_size=5), max_size=25).map("".join))
@settings(max_examples=1_000, deadline=None)
def test_any_text_gives_an_answer_or_an_error_with_a_position_in_it(text: str) -> None:
    outcome = _answer(text)

    if isinstance(outcome, QueryError):
        assert outcome.message
        assert 0 <= outcome.position <= len(text)
    else:
        assert _answer(print_query(parse(text))) == outcome


def _answer(text: str) -> int | QueryError:
    """Search an index of one device; any exception but QueryError fails the test."""
    reader = readers.current(_one_device())
    compiler = Compiler(reader.index, now=NOW)
    try:
        return Search(
            reader, compiler, compiler.for_tenants(parse(text), {1: None})
        ).count()
    except QueryError as error:
        return error


@cache
def _one_device() -> Path:
    root = Path(tempfile.mkdtemp(prefix="fleet-index-"))
    atexit.register(shutil.rmtree, root)
    values = {"uid": "dev-1", "name": "5", "region": "ü", "attr": {"x": 5}}
    fill(root, [FleetDocument(1, 1, values)])
    return root


@given(fleet=documents())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_count_of_a_facet_is_the_total_after_the_click(
    tmp_path_factory: object, fleet: list[FleetDocument]
) -> None:
    root: Path = tmp_path_factory.mktemp("index")  # type: ignore[attr-defined]
    fill(root, fleet)
    reader = readers.current(root)
    compiler = Compiler(reader.index, now=NOW)

    def search(tree: Node) -> Search:
        return Search(reader, compiler, compiler.for_tenants(tree, {1: None}))

    for name in FACETED:
        for row in search(All()).facet(resolve_field(name)):
            clicked = field_clause(name, str(row["value"]))
            assert search(clicked.node).count() == row["count"], clicked.text


@given(fleet=documents(), asked=st.lists(queries, min_size=3, max_size=8))
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_the_index_answers_as_the_reference_does(
    tmp_path_factory: object, fleet: list[FleetDocument], asked: list[Node]
) -> None:
    root: Path = tmp_path_factory.mktemp("index")  # type: ignore[attr-defined]
    fill(root, fleet)
    reader = readers.current(root)
    compiler = Compiler(reader.index, now=NOW)

    for tree in asked:
        found = Search(
            reader, compiler, compiler.for_tenants(tree, {1: None})
        ).device_ids()

        expected = [d.device_id for d in fleet if matches(tree, d, NOW)]
        assert found == expected, print_query(tree)
