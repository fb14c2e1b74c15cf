"""The first page of a list is read from an index, however many rows there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client, RequestFactory

from registry.admin.places import OfTenantAdmin
from registry.admin.shared.large_lists import Bounded
from registry.models import Device, Site
from tests.admin.pages import MODELS, open_page, url_of
from tests.admin.people import boss
from tests.factories import UserFactory

LARGE = [
    model
    for model in MODELS
    if not isinstance(admin.site._registry[model], OfTenantAdmin)
    and isinstance(admin.site._registry[model], Bounded)
]
# Few, however large the fleet and however long it runs: what a plan sorts is nothing.
FEW = {
    *("fleet.IndexState", "state.AdapterPath", "state.ListeningSlot"),
}


@pytest.fixture
def client(db: None) -> Client:
    return boss()


def plan_of(sql: str) -> Any:
    """Return the query plan with sorting disabled, so that a fitting index is used."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
        transaction.set_rollback(True)
    return found if isinstance(found, list) else json.loads(found)


def nodes_of(plan: Any) -> Iterator[str]:
    yield plan["Node Type"]
    for below in plan.get("Plans", ()):
        yield from nodes_of(below)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_list_is_sorted_by_an_index(client: Client, model: Any) -> None:
    table = f'FROM "{model._meta.db_table}"'
    opened = open_page(client, url_of(model, "changelist"))
    pages = [sql for sql in opened.queries if table in sql and "ORDER BY" in sql]

    nodes = {node for sql in pages for node in nodes_of(plan_of(sql)[0]["Plan"])}

    assert pages
    assert "Sort" not in nodes or model._meta.label in FEW


def headings_of(model: Any) -> dict[str, str]:
    """Return the sort keys that the headings of a list offer in the URL."""
    request = RequestFactory().get("/")
    request.user = UserFactory.create(is_superuser=True, is_staff=True)
    shown = admin.site._registry[model].get_changelist_instance(request)
    places = {str(name): place for place, name in enumerate(shown.list_display)}
    return {name: f"?o={places[name]}" for name in shown.sortable_by or ()}


@pytest.mark.parametrize("model", LARGE, ids=lambda model: model.__name__)
def test_a_large_list_can_be_sorted_by_indexed_columns(
    client: Client, model: Any
) -> None:
    address = url_of(model, "changelist")
    table = f'FROM "{model._meta.db_table}"'

    for name, heading in headings_of(model).items():
        pages = [
            sql
            for sql in open_page(client, address + heading).queries
            if table in sql and "ORDER BY" in sql
        ]
        nodes = {node for sql in pages for node in nodes_of(plan_of(sql)[0]["Plan"])}
        assert pages
        assert "Sort" not in nodes, name


def test_a_heading_without_an_index_sorts_nothing(db: None) -> None:
    assert "uid" in headings_of(Device)
    assert "name" not in headings_of(Device)
    assert "name" in headings_of(Site)
