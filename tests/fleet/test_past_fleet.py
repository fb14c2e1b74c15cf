"""The fleet as of then equals a replay: any query, any moment of the last 30 days."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from fleet.backends.documents import FleetDocument
from fleet.fields import FieldRef
from fleet.normal_forms import value_form
from fleet.selectors.as_of import search_as_of
from fleet.selectors.past_fleet import KNOWN
from registry.models import Tenant
from tests.fleet.past import PastFleet, some_moment, some_query
from tests.fleet.printer import print_query
from tests.fleet.reference import matches

pytestmark = pytest.mark.django_db


def shown(document: FleetDocument) -> dict[str, Any]:
    return {name: document.values[name] for name in KNOWN}


def everything(tenant: Tenant, q: str, at: datetime, sort: str) -> Any:
    """Return total, facets and the documents of all pages."""
    found = search_as_of(
        tenants=[tenant], q=q, at=at, sort=sort, limit=3, facets=["firmware", "site"]
    )
    rows, cursor = found.results, found.next_cursor
    while cursor:
        page = search_as_of(
            tenants=[tenant], q=q, at=at, sort=sort, limit=3, cursor=cursor
        )
        rows, cursor = rows + page.results, page.next_cursor
    return found.total, found.facets, rows


def counts(documents: list[FleetDocument], name: str) -> Counter[Any]:
    values = [document.values[name] for document in documents]
    return Counter(value_form(FieldRef(name), v) for v in values if v is not None)


def test_any_query_at_any_time_finds_what_a_replay_finds(
    is_long: bool, counted: Counter[str]
) -> None:
    chance = random.Random(20261201)
    past = PastFleet(chance)
    past.live(600 if is_long else 120)

    for _ in range(1_000 if is_long else 60):
        tenant = chance.choice(past.tenants)
        tree, at = some_query(chance, past), some_moment(chance, past)
        q, sort = print_query(tree), chance.choice(["", "-"]) + chance.choice(KNOWN)
        total, facets, rows = everything(tenant, q, at, sort)

        then = past.fleet_at(at, tenant)
        expected = [row for row in then if matches(tree, row, at)]
        wanted = {row.values["uid"]: shown(row) for row in expected}
        found = {row["uid"]: row for row in rows}
        wrong = {
            uid: (found.get(uid), wanted.get(uid))
            for uid in found.keys() | wanted.keys()
            if found.get(uid) != wanted.get(uid)
        }
        assert not wrong, (q, at)
        assert len(rows) == total == len(wanted)
        for name, counted_values in facets.items():
            ref = FieldRef(name)
            got = {value_form(ref, r["value"]): r["count"] for r in counted_values}
            assert got == counts(expected, name), (q, at, name)
        counted["queries of the past equal to a replay"] += 1


def test_pages_are_sorted_like_those_of_a_search_of_today() -> None:
    chance = random.Random(20261203)
    past = PastFleet(chance)
    past.live(60)
    at, tenant = past.moments[-1], past.tenants[0]

    for name in KNOWN:
        for sign in ("", "-"):
            _, _, rows = everything(tenant, "*", at, f"{sign}{name}")
            one_page = search_as_of(
                tenants=[tenant], q="*", at=at, sort=f"{sign}{name}"
            ).results
            assert rows == one_page
            values = [row[name] for row in rows]
            assert None not in values[: len(values) - values.count(None)]
