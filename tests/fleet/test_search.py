"""Searching: pages, facets, members, and other tenants."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from django.utils import timezone

from fleet.backends.choice import current_engine
from fleet.backends.documents import FleetDocument
from fleet.backends.tantivy_search import MOST_VALUES
from fleet.exceptions import BadCursor, IndexUnavailable, QueryError
from fleet.fields import FIELDS
from fleet.selectors.search import member_uids, search
from fleet.services.indexing import Indexer
from registry.models import Device, Tenant
from tests.factories import DeviceFactory, ProductFactory, TenantFactory
from tests.fleet.both_engines import on_both_engines
from tests.fleet.index import fill
from tests.fleet.rows import find

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(index_dir: Path) -> Tenant:
    """A tenant with 200 indexed devices that share many values."""
    made: Tenant = TenantFactory.create()
    declared = {"properties": {"rev": {"searchable": True}}}
    ProductFactory.create(tenant=made, attributes_schema=declared)
    chance = random.Random(7)
    now = timezone.now().replace(microsecond=0)

    def document(number: int) -> FleetDocument:
        values = {
            "uid": f"dev-{number:03}",
            "name": chance.choice(["Zulu", "alpha", "Österreich", None]),
            "region": chance.choice(["North", "South", None]),
            "firmware": chance.choice(["1.9.0", "1.10.0", "1.2.0", None]),
            "disconnects_72h": chance.choice([0, 1, 2, None]),
            "rssi": chance.choice([-80.5, -60.0, None]),
            "drift": chance.choice([True, False]),
            "since": chance.choice([now, now.replace(year=2020), None]),
            "tags": chance.sample(["a", "b", "c"], 2),
            "attr": {"rev": chance.choice(["A", "B", 3])},
        }
        return FleetDocument(number, made.pk, values)

    fill(index_dir, map(document, range(1, 201)))
    return made


@pytest.mark.parametrize("field", [field.name for field in FIELDS if field.sorts])
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_show_every_device_once_in_order(
    tenant: Tenant, field: str, sign: str
) -> None:
    documents, cursor = [], None
    while True:
        page = find(tenant, "*", sort=sign + field, limit=17, cursor=cursor)
        assert page.total == 200
        documents += page.results
        if (cursor := page.next_cursor) is None:
            break

    assert len({document["uid"] for document in documents}) == 200
    values = [document.get(field) for document in documents]
    present = [value for value in values if value is not None]
    assert values[: len(present)] == present  # devices without a value come last
    if field != "firmware":
        key = (lambda v: v.lower()) if isinstance(values[0], str) else None
        assert present == sorted(present, key=key, reverse=sign == "-")


@on_both_engines
def test_versions_sort_by_number_and_ties_by_device(tenant: Tenant) -> None:
    documents = find(tenant, "firmware:*", sort="firmware", limit=1_000).results

    versions = [document["firmware"] for document in documents]
    assert list(dict.fromkeys(versions)) == ["1.2.0", "1.9.0", "1.10.0"]
    for version in set(versions):
        same = [d["uid"] for d in documents if d["firmware"] == version]
        assert same == sorted(same)


@on_both_engines
def test_a_cursor_continues_after_its_device_when_others_are_removed(
    index_dir: Path,
) -> None:
    tenant: Tenant = TenantFactory.create()
    values = {"region": "North"}
    fleet = [FleetDocument(n, tenant.pk, values | {"uid": f"{n}"}) for n in range(9)]
    fill(index_dir, fleet)
    first = find(tenant, "*", sort="region", limit=4)

    fill(index_dir, fleet[:2] + fleet[3:])
    second = find(tenant, "*", sort="region", limit=4, cursor=first.next_cursor)

    assert [d["uid"] for d in first.results] == ["0", "1", "2", "3"]
    assert [d["uid"] for d in second.results] == ["4", "5", "6", "7"]


@on_both_engines
def test_facets_count_within_the_result(tenant: Tenant) -> None:
    names = ["region", "firmware", "drift", "disconnects_72h", "tags", "attr.rev"]
    result = find(tenant, "region:north", facets=names, limit=1_000)

    assert result.facets["region"] == [{"value": "North", "count": result.total}]
    for name in names[:4]:
        for row in result.facets[name]:
            held = [d for d in result.results if d[name] == row["value"]]
            assert len(held) == row["count"]
    revisions = {row["value"]: row["count"] for row in result.facets["attr.rev"]}
    assert set(revisions) == {"A", "B", 3}
    assert sum(revisions.values()) == result.total
    tagged = sum(row["count"] for row in result.facets["tags"])
    assert tagged == 2 * result.total


@on_both_engines
def test_the_most_frequent_values_are_counted_across_the_segments_of_an_index(
    index_dir: Path,
) -> None:
    tenant: Tenant = TenantFactory.create()
    chance = random.Random(3)
    batches = [number for number in range(700) for _ in range(number % 3 + 1)]
    counted: Counter[str] = Counter()
    engine = current_engine()
    generation = engine.new_generation()
    writer = engine.writer(generation, create=True)
    for segment in range(6):
        chosen = [f"b{number:03}" for number in chance.sample(batches, 800)]
        counted.update(chosen)
        writer.put(
            FleetDocument(segment * 1_000 + n, tenant.pk, {"uid": "x", "batch": value})
            for n, value in enumerate(chosen)
        )
        writer.commit()
    engine.swap_to(generation)

    rows = find(tenant, "*", facets=["batch"]).facets["batch"]

    ordered = sorted(counted.items(), key=lambda row: (-row[1], row[0]))
    assert [(row["value"], row["count"]) for row in rows] == ordered[:50]
    writer.close()


def test_counts_of_a_field_with_too_many_values_are_called_approximate(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in MOST_VALUES:
        monkeypatch.setitem(MOST_VALUES, name, 10)

    facets = find(tenant, "*", facets=["uid", "region"]).facets

    assert all(row["approximate"] for row in facets["uid"])
    assert not any("approximate" in row for row in facets["region"])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"sort": "attr.rev"}, "sort"),
        ({"sort": "-tags"}, "sort"),
        ({"sort": "nothing"}, "sort"),
        ({"facets": ["since"]}, "facets"),
        ({"facets": ["reigon"]}, "facets"),
        ({"facets": ["attr.rve"]}, "facets"),
    ],
)
def test_sorting_or_counting_by_an_unsuitable_field_is_refused(
    tenant: Tenant, options: dict[str, object], field: str
) -> None:
    with pytest.raises(QueryError) as caught:
        find(tenant, "*", **options)

    assert caught.value.errors[0]["field"] == field


def test_the_known_keys_are_those_of_the_callers_products(indexer: Indexer) -> None:
    declared = {"properties": {"rev": {"searchable": True}}}
    ours, theirs = (
        DeviceFactory.create(),
        DeviceFactory.create(product__attributes_schema=declared),
    )
    indexer.drain()

    with pytest.raises(QueryError) as caught:
        find(ours.tenant, "NOT attr.rev:x")

    assert caught.value.did_you_mean is None
    assert find(theirs.tenant, "NOT attr.rev:x").total == 1
    assert search(tenants=[ours.tenant, theirs.tenant], q="NOT attr.rev:x").total == 2


@on_both_engines
def test_below_an_open_attribute_a_key_that_no_device_has_is_refused(
    indexer: Indexer,
) -> None:
    device = DeviceFactory.create(
        product__attributes_schema={"properties": {"box": {"searchable": True}}},
        attributes={"box": {"size": "L"}},
    )
    indexer.drain()

    assert find(device.tenant, "attr.box.size:L").total == 1
    with pytest.raises(QueryError) as caught:
        find(device.tenant, "NOT attr.box.szie:L")

    assert "No device has 'attr.box.szie'" in caught.value.message


@pytest.mark.parametrize("cursor", ["x", "W10", "eyJhIjoxfQ", "é", "WyJ1aWQiLDEsMV0"])
def test_an_invalid_cursor_is_refused(tenant: Tenant, cursor: str) -> None:
    with pytest.raises(BadCursor):
        find(tenant, "*", cursor=cursor)


def test_a_cursor_of_another_sort_order_is_refused(tenant: Tenant) -> None:
    page = find(tenant, "*", sort="region", limit=1)

    with pytest.raises(BadCursor):
        find(tenant, "*", sort="-region", cursor=page.next_cursor)


def test_without_an_index_the_answer_says_that_it_is_being_built(
    index_dir: Path,
) -> None:
    with pytest.raises(IndexUnavailable):
        find(TenantFactory.create(), "*")


@on_both_engines
def test_no_query_finds_devices_of_another_tenant(indexer: Indexer) -> None:
    ours, theirs = DeviceFactory.create(), DeviceFactory.create()
    indexer.drain()

    for query in ["*", f"* OR tenant:{theirs.tenant.slug}", f"uid:{theirs.uid} OR *"]:
        assert member_uids(tenants=[ours.tenant], q=query) == [ours.uid]
        found = search(tenants=[ours.tenant], q=query, facets=["tenant"])
        assert [d["uid"] for d in found.results] == [ours.uid]
        assert found.facets["tenant"] == [{"value": ours.tenant.slug, "count": 1}]
    assert search(tenants=[], q="*").total == 0
    both = search(tenants=[ours.tenant, theirs.tenant], q="*")
    assert both.total == 2


@on_both_engines
def test_members_are_checked_again_in_the_database(indexer: Indexer) -> None:
    moved, kept = DeviceFactory.create(), DeviceFactory.create()
    indexer.drain()
    Device.objects.filter(pk=moved.pk).update(  # not indexed yet
        tenant=kept.tenant, site=kept.site, product=kept.product
    )

    assert member_uids(tenants=[moved.tenant], q="*") == []
