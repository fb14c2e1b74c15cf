"""Tantivy, Elasticsearch and the oracle give the same answers."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings

from fleet.backends.documents import FleetDocument
from fleet.backends.engine import Reader, Search
from fleet.fields import FIELDS, Field, FieldRef, Kind
from fleet.query.parser import parse
from fleet.query.tree import Node
from tests.fleet.parity import oracle
from tests.fleet.parity.engines import TENANT, opened
from tests.fleet.parity.queries import REFERENCE, fixed_queries
from tests.fleet.parity.world import KEYS, world
from tests.fleet.printer import print_query
from tests.fleet.reference import matches
from tests.fleet.strategies import NOW, queries

LIMIT = 17
WALKED = ("*", "NOT region:*")
FACETED = ("name:store OR attr.rev:*", "drift:true AND rssi:*")
COUNTED_FIELDS = [FieldRef(f.name) for f in FIELDS if f.facets and f.kind != Kind.JSON]
COUNTED_KEYS = [FieldRef("attr", key) for key in KEYS]


def expected_of(tree: Node) -> list[FleetDocument]:
    """Return the documents that the oracle finds, by device id."""
    found = [d for d in world() if d.tenant_id == TENANT and matches(tree, d, NOW)]
    return sorted(found, key=lambda document: document.device_id)


def differences(readers: list[Reader], tree: Node) -> list[str]:
    """Return the engines that find other devices than the oracle, and the query."""
    expected = [document.device_id for document in expected_of(tree)]
    found = []
    for reader in readers:
        search = opened(reader, tree)
        if (search.device_ids(), search.count()) != (expected, len(expected)):
            found.append(f"{type(reader).__name__}: {print_query(tree)}")
    return found


def test_fixed_queries_find_the_same_devices(
    readers: list[Reader], counted: Counter[str]
) -> None:
    texts = fixed_queries()
    assert len(texts) >= 200

    found = [row for text in texts for row in differences(readers, parse(text))]

    assert found == []
    counted["queries compared on two engines and an oracle"] += len(texts)


@given(tree=queries)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_generated_queries_find_the_same_devices(
    readers: list[Reader], counted: Counter[str], tree: Node
) -> None:
    assert differences(readers, tree) == []
    counted["queries compared on two engines and an oracle"] += 1


@pytest.mark.parametrize("field", [f for f in FIELDS if f.sorts], ids=lambda f: f.name)
def test_all_pages_have_the_same_devices_in_the_same_order(
    readers: list[Reader], counted: Counter[str], field: Field
) -> None:
    for text in WALKED:
        tree = parse(text)
        for descending in (False, True):
            expected = oracle.in_order(expected_of(tree), field, descending=descending)
            for reader in readers:
                walked = walk(opened(reader, tree), field, descending, len(expected))
                assert walked == [json.loads(d.encoded()) for d in expected], (
                    type(reader).__name__,
                    text,
                    descending,
                )
            counted["sorted lists walked on two engines"] += 1


def walk(
    search: Search, field: Field, descending: bool, total: int
) -> list[dict[str, object]]:
    """Return the documents of all pages."""
    found: list[dict[str, object]] = []
    after = None
    while True:
        page = search.page(field, descending=descending, after=after, limit=LIMIT)
        assert page.total == total
        found += page.documents
        after = page.last
        if after is None:
            return found


@pytest.mark.parametrize("text", [*WALKED, *FACETED, *REFERENCE])
def test_facets_and_counted_values_are_the_same(
    readers: list[Reader], counted: Counter[str], text: str
) -> None:
    tree = parse(text)
    documents = expected_of(tree)
    refs = COUNTED_FIELDS + COUNTED_KEYS
    for reader in readers:
        name = type(reader).__name__
        search = opened(reader, tree)
        counts = search.values(refs)
        facets = search.facets(refs)
        for ref in refs:
            assert facets[ref] == oracle.facet(documents, ref), (name, str(ref))
            assert counts[ref] == oracle.values(documents, ref), (name, str(ref))
            counted["facets compared on two engines and an oracle"] += 1


def test_the_documents_themselves_are_the_same(readers: list[Reader]) -> None:
    ids = sorted(document.device_id for document in world())
    expected = {d.device_id: [json.loads(d.encoded())] for d in world()}

    for reader in readers:
        assert reader.device_ids() == ids
        assert reader.stored_documents([*ids, 2**50]) == expected
