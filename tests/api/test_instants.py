"""Every instant that a request gives has an offset; another one is refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.api.test_every_operation import names_in
from tests.api.world import World

pytestmark = pytest.mark.django_db

WITHOUT_OFFSET = "2027-03-14T02:30:00"
NOT_TAKEN = [WITHOUT_OFFSET, "2027-03-14", "now", "2027-03-14T02:30:00 02:00"]
DOCUMENT = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]


def is_instant(schema: Mapping[str, Any]) -> bool:
    return schema.get("format") == "date-time" and not schema.get("readOnly")


def instants_in_bodies(operation: Mapping[str, Any]) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" not in content:
        return
    name = content["application/json"]["schema"].get("$ref", "").rpartition("/")[2]
    schema = DOCUMENT["components"]["schemas"].get(name, {})
    for field, inner in schema.get("properties", {}).items():
        if is_instant(inner):
            yield field


def instants() -> dict[str, tuple[str, str, bool]]:
    """Return path and name of each instant, and whether it is part of the query."""
    found = {}
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            given = [
                (parameter["name"], True)
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "query" and is_instant(parameter["schema"])
            ]
            given += [(field, False) for field in instants_in_bodies(operation)]
            for name, is_query in given:
                found[f"{method} {path} {name}"] = (path, name, is_query)
    return found


INSTANTS = instants()


def test_instants_are_found_in_queries_and_in_bodies() -> None:
    assert "get /api/v1/dead-letters/ before" in INSTANTS
    assert "get /api/v1/devices/{uid}/telemetry/ from" in INSTANTS
    assert "post /api/v1/maintenance-windows/ from_at" in INSTANTS
    assert "post /api/v1/tokens/ expires_at" in INSTANTS


@pytest.mark.parametrize("key", INSTANTS)
def test_an_instant_without_offset_is_refused_by_name(world: World, key: str) -> None:
    method = key.partition(" ")[0]
    path, name, is_query = INSTANTS[key]
    for names in names_in(world, path)[:1]:
        path = path.format(**names)
    client = world.client()

    for text in NOT_TAKEN:
        if is_query:
            needed = {"metric": "temperature"} if "telemetry" in path else {}
            answer = client.get(path, needed | {name: text})
        else:
            answer = client.generic(
                method.upper(),
                path,
                f'{{"{name}": "{text}"}}',
                content_type="application/json",
            )

        assert answer.status_code == 400, (text, answer.content)
        errors = {row["field"]: row["message"] for row in answer.json()["errors"]}
        assert "RFC 3339" in errors[name], (text, errors)


@pytest.mark.parametrize(
    "path", ["devices/{uid}/telemetry/?metric=temperature&", "fleet/changes/?q=*&"]
)
def test_both_ends_of_a_range_are_refused_at_once(world: World, path: str) -> None:
    template = f"/api/v1/{path}from={WITHOUT_OFFSET}&to={WITHOUT_OFFSET}"
    names = names_in(world, "/api/v1/devices/{uid}/")[0]

    answer = world.client().get(template.format(**names))

    fields = [row["field"] for row in answer.json()["errors"]]
    assert sorted(fields) == ["from", "to"]
