"""Paging to the last page while documents change."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.backends.documents import FleetDocument
from fleet.backends.tantivy_index import Writer
from tests.factories import TenantFactory
from tests.fleet.rows import find

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Values = dict[str, Any]


def some_values(chance: random.Random, number: int) -> Values:
    """Return values that many devices share, or do not have."""
    return {
        "uid": f"dev-{number:03}",
        "name": chance.choice(["Zulu", "alpha", "Österreich", None]),
        "region": chance.choice(["North", "South", None]),
        "firmware": chance.choice(["1.9.0", "1.10.0", None]),
        "heartbeat_risk": chance.choice([0, 5, 18, None]),
        "in_maintenance": chance.choice([True, False]),
        "since": chance.choice([NOW, NOW - timedelta(days=9), None]),
    }


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("field", list(some_values(random.Random(0), 0)))
def test_every_device_that_did_not_change_is_shown_once(
    writer: Writer, field: str, sign: str
) -> None:
    chance = random.Random(f"{sign}{field}")
    tenant = TenantFactory.create()
    fleet = {number: some_values(chance, number) for number in range(120)}

    def put(rows: dict[int, Values]) -> None:
        writer.put(FleetDocument(n, tenant.pk, values) for n, values in rows.items())
        writer.commit()

    put(fleet)
    seen: Counter[str] = Counter()
    changed: set[int] = set()  # in what they are sorted by, or gone
    cursor = None
    while True:
        page = find(tenant, "*", sort=sign + field, limit=11, cursor=cursor)
        seen.update(document["uid"] for document in page.results)
        if (cursor := page.next_cursor) is None:
            break
        moved, gone, kept = (chance.randrange(120) for _ in range(3))
        changed |= {moved, gone}
        writer.remove([gone])
        beside = {name: fleet[kept][name] for name in ("uid", field)}
        put(
            {
                kept: some_values(chance, kept) | beside,
                moved: some_values(chance, moved),
                200 + moved: some_values(chance, 200 + moved),  # a new one
            }
        )

    shown = {number: seen[f"dev-{number:03}"] for number in range(120)}
    assert {shown[number] for number in shown if number not in changed} == {1}
