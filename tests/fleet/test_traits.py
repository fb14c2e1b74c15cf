"""Shared traits: what a set has more often than the fleet, among all that is tried."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.backends.tantivy_search import Search
from fleet.exceptions import QueryError
from fleet.fields import FIELDS, Kind
from fleet.selectors.search import count
from fleet.selectors.trait_pairs import MOST_PAIRED
from fleet.selectors.traits import MOST_KEYS, OWN, find_traits
from registry.member_limit import Limit
from registry.models import Tenant
from tests.factories import (
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
)
from tests.fleet.both_engines import on_both_engines
from tests.fleet.index import fill
from tests.fleet.trait_fleets import document, fleet_of, found, named, paired

pytestmark = pytest.mark.django_db
REFERENCE = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'
KEYS = {
    "attr": ("battery_rev", "modem.chip"),
    "reported": ("mode",),
    "metric": ("door_open",),
}


@pytest.fixture
def tenant() -> Tenant:
    """A tenant whose product declares a key of each kind."""
    made: Tenant = TenantFactory.create()
    rules = {"type": "object", "properties": {"chip": {"type": "string"}}}
    ProductFactory.create(
        tenant=made,
        attributes_schema={
            "properties": {
                "battery_rev": {"searchable": True},
                "modem": {"searchable": True} | rules,
                "hidden": {"type": "string"},
            }
        },
        reported_keys=["mode"],
        metrics=[{"name": "door_open", "unit": ""}],
    )
    return made


def test_a_set_of_nearly_the_whole_fleet_has_traits_too(
    tenant: Tenant, index_dir: Path
) -> None:
    def plant(number: int) -> dict[str, Any]:
        # Of 47 matches, 8 have another adapter, and 8 others another firmware.
        return {
            "tags": ["in"] if number <= 47 else [],
            "adapter": "http" if number <= 8 else "mqtt",
            "firmware": "1.3.9" if 8 < number <= 16 else "1.4.2",
        }

    fleet_of(tenant, index_dir, 50, 3, plant)

    shared = found(tenant, "tag:in")

    assert (shared.total, shared.fleet_total) == (47, 50)


@on_both_engines
def test_a_batch_and_its_revision_that_fail_together_are_named_first(
    tenant: Tenant, index_dir: Path
) -> None:
    def plant(number: int) -> dict[str, Any]:
        bad = {"batch": "C7", "hardware_revision": "rev-C7"}
        if number <= 56:  # the matches, 52 of them from the batch
            symptoms = {
                "region": "East China",
                "firmware": "1.4.2",
                "disconnects_72h": 7,
                "risk_reasons": ["flapping"],
                "site": f"site-{3 * (number % 8):02}",
            }
            return symptoms | (bad if number <= 52 else {})
        return bad if number <= 99 else {"risk_reasons": []}

    fleet_of(tenant, index_dir, 500, 3, plant)

    shared = found(tenant, REFERENCE)

    assert (shared.total, shared.fleet_total) == (56, 500)
    assert named(shared)[:2] == [("batch", "C7"), ("hardware_revision", "rev-C7")]
    first = shared.traits[0]
    assert (first.counted.count, first.counted.fleet_count) == (52, 95)
    assert round(first.counted.lift, 1) == 4.9
    assert first.p_value < 1e-20
    assert first.at_risk == 43
    assert ("risk_reasons", "flapping") in named(shared)  # a symptom: after them
    assert not {"region", "firmware", "disconnects_72h"} & {
        each.field for trait in shared.traits for each in trait.conditions
    }


def test_each_field_and_declared_key_is_tried_with_few_passes_over_the_index(
    tenant: Tenant, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [f for f in FIELDS if f.facets and f.kind is not Kind.JSON]
    chosen: dict[str, tuple[Any, Any]] = {
        "attr": ({"battery_rev": "Z", "modem.chip": "z"}, {"battery_rev": "A"}),
        "reported": ({"mode": "odd"}, {"mode": "full"}),
        "metric": ({"door_open": 7}, {"door_open": 0}),
    }
    for field in plain:
        pair: tuple[Any, Any] = ("planted", "other")
        if field.kind is Kind.NUMBER:
            pair = (7, 1)
        elif field.kind is Kind.BOOLEAN:
            pair = (True, False)
        elif field.kind is Kind.VERSION:
            pair = ("9.1", "9.2")
        elif field.vocabulary:
            pair = field.vocabulary[0], field.vocabulary[-1]
        chosen[field.name] = ([pair[0]], [pair[1]]) if field.is_list else pair
    chosen = {name: pair for name, pair in chosen.items() if name not in OWN}

    def plant(number: int) -> dict[str, Any]:
        is_in = number <= 40
        values = {name: pair[0 if is_in else 1] for name, pair in chosen.items()}
        return values | {"serial": f"{'in' if is_in else 'out'}-{number}"}

    fleet_of(tenant, index_dir, 200, 1, plant)
    passes: list[int] = []
    original = Search.values

    def values(self: Search, refs: Any) -> Any:
        passes.append(len(refs))
        return original(self, refs)

    monkeypatch.setattr(Search, "values", values)

    shared = found(tenant, "serial:in-*")

    keys = {f"{name}.{key}" for name, row in KEYS.items() for key in row}
    expected = {field.name for field in plain if field.name not in OWN} | keys
    assert {field for field, _ in named(shared)} == expected
    assert len(shared.traits) == len(expected)  # no pair says more than its values
    assert ("metric.door_open", 7) in named(shared)
    assert ("drift", True) in named(shared)
    # Two for the values, and one for each value that is paired.
    assert len(passes) <= 2 + MOST_PAIRED
    for trait in shared.traits:
        assert count(tenants=[tenant], q=trait.query) == trait.counted.fleet_count
        within = f"({trait.query}) AND serial:in-*"
        assert count(tenants=[tenant], q=within) == trait.counted.count
        assert count(tenants=[tenant], q=trait.at_risk_query) == trait.at_risk


def test_nothing_is_named_where_nothing_stands_out(
    tenant: Tenant, index_dir: Path
) -> None:
    named_by_chance = 0
    for seed in range(3):
        chance = Random(seed)
        chosen = set(chance.sample(range(1, 401), 60))

        def plant(number: int, chosen: set[int] = chosen) -> dict[str, Any]:
            return {"serial": "in" if number in chosen else "out"}

        fleet_of(tenant, index_dir, 400, seed, plant)
        named_by_chance += len(found(tenant, "serial:in").traits)

    assert named_by_chance == 0
    assert found(tenant, "*").traits == []
    assert found(tenant, "serial:nobody").traits == []
    few = found(tenant, "uid:dev-1 OR uid:dev-2")
    assert (few.total, few.traits) == (2, [])


@pytest.mark.parametrize("seed", range(3))
def test_a_planted_pair_comes_first(seed: int, tenant: Tenant, index_dir: Path) -> None:
    pair_comes_first(tenant, index_dir, seed)


@pytest.mark.long
def test_a_planted_pair_comes_first_for_every_seed(
    tenant: Tenant, index_dir: Path
) -> None:
    for seed in range(50):
        pair_comes_first(tenant, index_dir, seed)


def pair_comes_first(tenant: Tenant, root: Path, seed: int) -> None:
    """Let one firmware fail on one battery, and little else."""
    chance = Random(f"pair {seed}")
    bad = {"firmware": "1.4.2", "attr.battery_rev": "B"}

    def plant(number: int) -> dict[str, Any]:
        firmware = chance.choice(("1.3.9", "1.4.1", "1.4.2"))
        battery = chance.choice("AB")
        is_bad = (firmware, battery) == ("1.4.2", "B")
        fails = chance.random() < (0.6 if is_bad else 0.01)
        return {
            "firmware": firmware,
            "attr": {"battery_rev": battery, "modem.chip": chance.choice("xy")},
            "serial": "in" if fails else "out",
        }

    fleet_of(tenant, root, 600, seed, plant)

    shared = found(tenant, "serial:in")

    assert paired(shared)[0] == bad
    first = shared.traits[0]
    assert count(tenants=[tenant], q=first.query) == first.counted.fleet_count
    within = f"({first.query}) AND serial:in"
    assert count(tenants=[tenant], q=within) == first.counted.count
    assert count(tenants=[tenant], q=first.at_risk_query) == first.at_risk


@pytest.mark.long
def test_a_random_set_shows_something_in_five_percent_at_most(
    tenant: Tenant, index_dir: Path
) -> None:
    fleet_of(tenant, index_dir, 1_000, 1, lambda number: {})
    shown = 0
    for seed in range(200):
        chosen = Random(seed).sample(range(1, 1_001), 40)
        query = " OR ".join(f"dev-{number}" for number in chosen)
        shown += bool(found(tenant, f"uid:({query})").traits)

    assert shown <= 10


def test_a_set_that_is_wholly_at_one_of_many_sites_shows_it(
    tenant: Tenant, index_dir: Path
) -> None:
    def plant(number: int) -> dict[str, Any]:
        is_in = number % 2_000 == 7
        return {
            "site": f"site-{number % 2_000:04}",
            "region": "North",
            "serial": "in" if is_in else "out",
        }

    fleet_of(tenant, index_dir, 8_000, 4, plant)

    assert named(found(tenant, "serial:in")) == [("site", "site-0007")]


@on_both_engines
def test_spellings_that_a_query_does_not_tell_apart_are_counted_together(
    tenant: Tenant, index_dir: Path
) -> None:
    def plant(number: int) -> dict[str, Any]:
        if number > 60:
            return {"attr": {"battery_rev": "A"}, "batch": "C1", "firmware": "1.3"}
        odd = number % 3 == 0
        return {
            "serial": "in" if number <= 50 else "out",
            "batch": "b7" if odd else "B7",
            "firmware": "v1.5.0" if odd else "1.5.0",
            "attr": {"battery_rev": "5" if odd else 5},
        }

    fleet_of(tenant, index_dir, 300, 2, plant)

    traits = found(tenant, "serial:in").traits
    shared = {trait.conditions[0].field: trait for trait in traits}

    assert shared["batch"].conditions[0].value == "B7"
    for name in ("batch", "firmware", "attr.battery_rev"):
        counted = shared[name].counted
        assert (counted.count, counted.fleet_count) == (50, 60)
        assert count(tenants=[tenant], q=shared[name].query) == 60


@on_both_engines
def test_a_measurement_with_many_values_is_no_trait_and_a_code_is(
    tenant: Tenant, index_dir: Path
) -> None:
    def plant(number: int) -> dict[str, Any]:
        is_in = number <= 40
        metric = {"door_open": -40.5 if is_in else number / 7}
        return {"serial": "in" if is_in else "out", "metric": metric}

    fleet_of(tenant, index_dir, 300, 2, plant)

    assert named(found(tenant, "serial:in")) == []


@on_both_engines
def test_traits_compare_only_within_what_the_caller_may_see(
    tenant: Tenant, index_dir: Path
) -> None:
    stranger = TenantFactory.create()
    ProductFactory.create(
        tenant=stranger,
        attributes_schema={"properties": {"secret": {"searchable": True}}},
    )
    site = SiteFactory.create(tenant=tenant, slug="site-00")

    def plant(number: int) -> dict[str, Any]:
        is_in = number % 4 == 0
        return {
            "serial": "in" if is_in else "out",
            "site": "site-00" if number <= 160 else "site-99",
            "attr": {"battery_rev": "Z" if is_in else "A", "secret": "x"},
        }

    chance = Random(5)
    mine = [document(tenant, n, chance, **plant(n)) for n in range(1, 321)]
    theirs = [document(stranger, n, chance, **plant(n)) for n in range(321, 641)]
    fill(index_dir, [*mine, *theirs])

    whole = found(tenant, "serial:in")
    tenant.limit = Limit(projects={}, sites={site.pk: site.slug})
    limited = found(tenant, "serial:in")

    assert (whole.total, whole.fleet_total) == (80, 320)
    assert (limited.total, limited.fleet_total) == (40, 160)
    for shared in (whole, limited):
        assert named(shared) == [("attr.battery_rev", "Z")]
    assert limited.traits[0].counted.fleet_count == 40
    both = find_traits(tenants=[tenant, stranger], q="serial:in")
    assert both.fleet_total == 480


def test_the_api_answers_with_counts_that_its_queries_find(
    tenant: Tenant, index_dir: Path, django_assert_max_num_queries: Any
) -> None:
    def plant(number: int) -> dict[str, Any]:
        is_in = number <= 50
        batch = "B 7" if is_in or number <= 70 else "C1"
        return {"serial": "in" if is_in else "out", "batch": batch}

    fleet_of(tenant, index_dir, 300, 2, plant)
    client = APIClient()
    client.force_authenticate(
        MembershipFactory.create(tenant=tenant, role="viewer").user
    )

    with django_assert_max_num_queries(12):
        answer = client.get("/api/v1/fleet/traits/", {"q": "serial:in"})

    assert answer.status_code == 200, answer.content
    body = answer.json()
    [trait] = body["traits"]
    assert (body["total"], body["fleet_total"]) == (50, 300)
    assert trait.pop("p_value") < 1e-6
    assert trait.pop("lift") == pytest.approx(300 / 70)
    assert trait.pop("fleet_share") == pytest.approx(70 / 300)
    assert trait == {
        "conditions": [{"field": "batch", "value": "B 7"}],
        "query": 'batch:"B 7"',
        "count": 50,
        "share": 1.0,
        "fleet_count": 70,
        "at_risk": {"count": 20, "query": 'batch:"B 7" AND NOT (serial:in)'},
    }
    assert client.get("/api/v1/fleet/traits/", {"q": ""}).status_code == 400
    refused = client.get("/api/v1/fleet/traits/", {"q": "batc:B"})
    assert refused.json()["errors"][0]["did_you_mean"] == "batch"
    unknown = client.get("/api/v1/fleet/traits/", {"q": "*", "facets": "site"})
    assert unknown.status_code == 400
    assert APIClient().get("/api/v1/fleet/traits/", {"q": "*"}).status_code == 401


def test_a_query_with_an_error_is_refused(tenant: Tenant, index_dir: Path) -> None:
    fill(index_dir, [])

    with pytest.raises(QueryError):
        found(tenant, "batch:(")


def test_more_declared_keys_than_can_be_tried_do_no_harm(
    tenant: Tenant, index_dir: Path
) -> None:
    ProductFactory.create(
        tenant=tenant, reported_keys=[f"key_{n}" for n in range(MOST_KEYS + 50)]
    )
    fleet_of(tenant, index_dir, 60, 1, lambda n: {"serial": "in" if n < 9 else "out"})

    assert found(tenant, "serial:in").traits == []
