"""The first page of a list is read from an index, however many rows there are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

from tests.admin.pages import MODELS, open_page, url_of
from tests.admin.people import boss

# Few, however large the fleet and however long it runs: what a plan sorts is nothing.
FEW = {
    *("fleet.IndexState", "state.AdapterPath", "state.ListeningSlot"),
}


@pytest.fixture
def client(db: None) -> Client:
    return boss()


def plan_of(sql: str) -> Any:
    """Return the plan where an index that has the order is taken if there is one."""
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
def test_a_list_is_in_an_order_that_an_index_has(client: Client, model: Any) -> None:
    table = f'FROM "{model._meta.db_table}"'
    opened = open_page(client, url_of(model, "changelist"))
    pages = [sql for sql in opened.queries if table in sql and "ORDER BY" in sql]

    nodes = {node for sql in pages for node in nodes_of(plan_of(sql)[0]["Plan"])}

    assert pages
    assert "Sort" not in nodes or model._meta.label in FEW
