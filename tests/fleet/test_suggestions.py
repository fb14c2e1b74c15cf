"""Completing a query: fields, keys, operators, and values with their totals."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from fleet.backends.documents import FleetDocument
from fleet.exceptions import QueryError
from fleet.selectors.search import count
from fleet.selectors.suggestions import Suggestions, suggest
from fleet.services.indexing import Indexer
from registry.models import MembershipLimit, Tenant
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    TenantFactory,
)
from tests.fleet.index import fill
from tests.fleet.printer import print_query
from tests.fleet.strategies import queries
from tests.fleet.test_query_properties import PIECES

pytestmark = pytest.mark.django_db
SEARCHABLE = {"searchable": True}


@pytest.fixture
def tenant(index_dir: Path) -> Tenant:
    """A tenant with 120 indexed devices; some of their values are awkward to write."""
    made: Tenant = TenantFactory.create()
    ProductFactory.create(
        tenant=made,
        attributes_schema={
            "properties": {"battery_rev": SEARCHABLE, "rev": SEARCHABLE}
            | {"a b": SEARCHABLE, "$s": SEARCHABLE}
        },
        reported_keys=["modem.fw"],
        metrics=[{"name": "temperature", "unit": "°C", "dead_band": 1}],
    )
    chance = random.Random(5)
    now = datetime.now(UTC)

    def document(number: int) -> FleetDocument:
        values = {
            "uid": f"dev-{number:03}",
            "name": chance.choice(["Cold store", "Pump 5", "上海浦东冷库", None]),
            "site": chance.choice(["munich-01", "shanghai-01", "shanghai-02"]),
            "region": chance.choice(["East China", "North", 'a "q" \\b', "NOT"]),
            "space": chance.choice(["hq", "hq/f-2", "HQ/f-2", None]),
            "firmware": chance.choice(["v1.4.3", "1.4.3", "1.10.0", "2.0 rc", None]),
            "connectivity": chance.choice(["online", "online", "offline"]),
            "lifecycle": "active",
            "drift": chance.choice([True, False]),
            "rssi": chance.choice([-71.0, -72.5, None]),
            "risk": chance.choice([0, 5, 10, 20]),
            "tags": chance.sample(["a", "b", "winter", "Winter"], 2),
            "since": now - timedelta(hours=chance.choice([0, 20, 50])),
            "attr": {"battery_rev": chance.choice(["A", "B", 3, "5.0", True])},
        }
        return FleetDocument(number, made.pk, values)

    fill(index_dir, map(document, range(120)))
    return made


def at_cursor(tenant: Tenant, marked: str) -> Suggestions:
    """Complete a query at the mark ``|``."""
    q, _, rest = marked.partition("|")
    return suggest(tenants=[tenant], q=q + rest, at=len(q))


def texts(found: Suggestions, kind: str) -> list[str]:
    return [option.text for option in found.options if option.kind == kind]


def check_totals(tenant: Tenant, q: str, found: Suggestions) -> int:
    """Check that each value gives a valid query with that total; return how many."""
    values = [option for option in found.options if option.kind == "value"]
    for option in values:
        query = q[: found.begin] + option.text + q[found.end :]
        assert count(tenants=[tenant], q=query) == option.count, query
    return len(values)


@pytest.mark.parametrize(
    ("marked", "kind", "expected"),
    [
        ("re|", "field", ["region", "hardware_revision", "risk_reasons"]),
        ("tag|", "field", ["tags"]),
        ("site:x AND fi|", "field", ["firmware"]),
        ("NOT (si|", "field", ["site", "since"]),
        ("re|gion:North", "field", ["region", "hardware_revision", "risk_reasons"]),
        ("attr.ba|", "key", ["attr.battery_rev"]),
        ("battery|", "key", ["attr.battery_rev"]),
        ("reported|", "key", ["reported.modem.fw"]),
        ("attr.a|", "key", ["attr.a\\ b"]),
        ("site:mu|", "value", ["munich-01"]),
        ("site:02|", "value", ["shanghai-02"]),
        ('region:"east ch|', "value", ['"East China"']),
        ('region:"ea| AND drift:true', "value", ['"East China"']),
        ('region:"ea| AND name:"pump 5"', "value", ['"East China"']),
        ("region:no|", "value", ["North", '"NOT"']),
        ("connectivity:o|", "value", ["online", "offline"]),
        ("connectivity:st|", "value", ["stale"]),
        ("drift:t|", "value", ["true"]),
        ("rssi:-|", "value", ["-71", "-72.5"]),
        ("site:(munich-01 OR sh|", "value", ["shanghai-01)", "shanghai-02)"]),
        ("site:(munich-01 OR sh|)", "value", ["shanghai-01", "shanghai-02"]),
        ("(drift:true AND (site:mu|", "value", ["munich-01))"]),
        ("risk:[5 TO 1|", "value", ["10]"]),
        ("risk:>=2|", "value", ["20"]),
        ("uid:dev-00|", "value", [f"dev-{number:03}" for number in range(10)]),
        ("name:co|", "value", ['"Cold store"']),
        ("name:上|", "value", ['"上海浦东冷库"']),
        ("last_activity:<now-3|", "value", ["now-3d", "now-30d"]),
        ("attr.battery_rev:t|", "value", ["true"]),
        ("shang|", "value", ["site:shanghai-01", "site:shanghai-02"]),
        ("site:x |", "operator", ["AND", "OR", "NOT"]),
        ("site:x a|", "operator", ["AND"]),
        ("site:(x |", "operator", ["AND", "OR", "NOT"]),
        ("risk:[5 |", "operator", ["TO"]),
        ("risk:|", "operator", ["<", "<=", ">", ">="]),
        ("site:x AND n|", "operator", ["NOT"]),
        ("site:x AND AND fi|", "field", ["firmware"]),
        ("regin:x AND fi|", "field", ["firmware"]),
        ("site:x) fi|", "field", ["firmware"]),
    ],
)
def test_a_half_typed_query_is_completed(
    tenant: Tenant, marked: str, kind: str, expected: list[str]
) -> None:
    found = texts(at_cursor(tenant, marked), kind)

    # In the order of their totals where there are some: that is the fleet's chance.
    assert sorted(found) == sorted(expected)


def test_what_begins_as_typed_comes_first_and_then_the_most_frequent(
    tenant: Tenant,
) -> None:
    values = [row for row in at_cursor(tenant, "site:|").options if row.count]
    fields = texts(at_cursor(tenant, "alarm|"), "field")

    assert len(values) == 3
    assert values == sorted(values, key=lambda row: -(row.count or 0))
    assert fields[0] == "alarms"
    assert fields[-2:] == ["last_alarm", "last_alarm_at"]


def test_values_are_counted_within_the_rest_of_the_query(tenant: Tenant) -> None:
    for marked in (
        "connectivity:online AND site:|",
        "site:| AND connectivity:online",
        "connectivity:online OR site:|",
        "NOT site:|",
        "site:(munich-01 OR |",
        "tags:(winter AND |",
        "NOT (connectivity:online AND NOT region:|)",
        "since:|",
        "risk:[| TO 10]",
        "space:h|",
        "firmware:1|",
        "on|",
    ):
        assert check_totals(
            tenant, marked.replace("|", ""), at_cursor(tenant, marked)
        ), marked


@given(asked=queries, data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
    ],
)
def test_every_value_that_is_offered_gives_a_valid_query_with_that_total(
    tenant: Tenant, asked: Any, data: st.DataObject
) -> None:
    whole = print_query(asked)
    begin = data.draw(st.sampled_from(["", "site:", "tags:(a OR ", "NOT risk:"]))
    q = data.draw(st.sampled_from([whole, f"{whole} AND {begin}", f"{begin} {whole}"]))
    at = data.draw(st.just(len(q)) | st.integers(0, len(q)))
    q = data.draw(st.sampled_from([q, q[:at]]))

    check_totals(tenant, q, suggest(tenants=[tenant], q=q, at=at))


@given(text=st.lists(PIECES | st.text(max_size=3), max_size=15).map("".join))
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_text_is_answered_with_options(tenant: Tenant, text: str) -> None:
    for at in {0, len(text) // 2, len(text)}:
        found = suggest(tenants=[tenant], q=text, at=at)

        assert 0 <= found.begin <= at <= found.end <= len(text)
        check_totals(tenant, text, found)


def test_a_value_is_offered_only_where_the_whole_query_becomes_valid(
    tenant: Tenant,
) -> None:
    for marked in ("regin:x AND site:|", "attr.nothing:|", "site:x AND AND site:|"):
        found = at_cursor(tenant, marked)

        assert texts(found, "value") == []
        with pytest.raises(QueryError):
            count(tenants=[tenant], q=marked.replace("|", "munich-01"))


def test_the_answer_has_the_shape_of_the_contract(
    indexer: Indexer, django_assert_max_num_queries: Any
) -> None:
    device = DeviceFactory.create(site__slug="munich-01")
    indexer.drain()
    client = APIClient()
    client.force_authenticate(MembershipFactory(tenant=device.tenant).user)
    path = "/api/v1/fleet/suggest/"

    with django_assert_max_num_queries(5):
        answer = client.get(path, {"q": "site:m AND drift:false", "at": "6"}).json()
    start = client.get(path).json()

    value = {"text": "munich-01", "kind": "value", "count": 1}
    assert answer == {"from": 5, "to": 6, "options": [value]}
    assert (start["from"], start["to"]) == (0, 0)
    field = next(row for row in start["options"] if row["text"] == "battery")
    assert field == {"text": "battery", "kind": "field", "help": "Battery, %"}
    refusals: list[dict[str, str]] = [{"q": "a", "at": "2"}, {"at": "x"}, {"quer": "a"}]
    for wrong in refusals:
        refused = client.get(path, wrong)
        assert refused.status_code == 400
        assert refused.json()["errors"][0]["field"] == next(reversed(wrong))
    assert APIClient().get(path, {"q": "s"}).status_code == 401


def test_nothing_beyond_the_tenants_and_limits_of_the_caller_is_offered(
    indexer: Indexer,
) -> None:
    ours = DeviceFactory.create(site__slug="munich-01", tags=["here"])
    DeviceFactory.create(
        tenant=ours.tenant, product=ours.product, site__slug="munich-02", tags=["near"]
    )
    DeviceFactory.create(
        site__slug="munich-03",
        tags=["far"],
        product__attributes_schema={"properties": {"secret": SEARCHABLE}},
    )
    indexer.drain()
    member = MembershipFactory(tenant=ours.tenant)
    MembershipLimit.objects.create(
        membership=member, tenant=ours.tenant, site=ours.site
    )
    client = APIClient()
    client.force_authenticate(member.user)

    def offered(q: str) -> list[str]:
        rows = client.get("/api/v1/fleet/suggest/", {"q": q}).json()["options"]
        return [row["text"] for row in rows if row["kind"] in ("value", "key")]

    assert offered("site:mun") == ["munich-01"]
    assert offered("NOT tags:") == ["here"]
    assert offered("* OR tags:") == ["here"]
    assert offered("mun") == ["site:munich-01"]
    assert offered("attr.") == []
