"""The OpenAPI schema of the whole REST API is valid and complete."""

from __future__ import annotations

from io import StringIO
from typing import Any

import msgspec
import pytest
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator

from iotplatform.common.messages import STRUCTS

# All paths whose GET answers with a list.
LISTS = (
    *("tenants/", "projects/", "sites/", "products/", "devices/", "alarms/"),
    *("devices/{uid}/credentials/", "enrolment-keys/", "devices/{uid}/timeline/"),
    *("command-definitions/", "commands/", "cohorts/", "fleet/edit/"),
    "standing-policies/",
    *("jobs/", "jobs/{job_id}/targets/", "jobs/{job_id}/events/"),
    "snapshots/{snapshot_id}/members/",
)


def test_the_schema_is_valid_and_without_warnings() -> None:
    out = StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)

    assert "/api/v1/devices/{uid}/" in out.getvalue()


@pytest.fixture
def schema() -> Any:
    """The document that /api/schema/ serves."""
    generator: Any = SchemaGenerator
    return generator().get_schema(request=None, public=True)


def test_the_schema_describes_every_list_as_paginated(schema: Any) -> None:
    shapes = schema["components"]["schemas"]

    def members(path: str) -> set[str]:
        answer: Any = schema["paths"][f"/api/v1/{path}"]["get"]["responses"]["200"]
        shape = answer["content"]["application/json"]["schema"]
        name = shape.get("$ref", "").rpartition("/")[2]
        return set(shapes.get(name, {}).get("properties", {}))

    for path in LISTS:
        assert members(path) == {"next", "previous", "results"}, path


def test_the_schema_allows_null_and_empty_values(schema: Any) -> None:
    shapes = schema["components"]["schemas"]

    assert shapes["Alarm"]["properties"]["acknowledged_by"]["nullable"] is True
    two_letters, nothing = shapes["Site"]["properties"]["country"]["oneOf"]
    assert two_letters["pattern"] == "^[A-Z]{2}$"
    assert nothing["maxLength"] == 0


def test_the_schema_describes_authentication_and_refusals_of_device_endpoints(
    schema: Any,
) -> None:
    endpoints = {
        path: item
        for path, item in schema["paths"].items()
        if "/device/" in path and "{token}" not in path
    }
    operations = {
        (path, method): operation
        for path, item in endpoints.items()
        for method, operation in item.items()
    }
    scheme = schema["components"]["securitySchemes"]["device"]

    assert len(operations) == 17
    assert scheme["description"].startswith("`Device <uid>:<secret>`")
    for operation in operations.values():
        assert operation["security"] == [{"device": []}]
        refusals = {s: a for s, a in operation["responses"].items() if s != "200"}
        assert {"400", "401", "409", "429", "503", "default"} <= refusals.keys()
        for answer in refusals.values():
            assert list(answer["content"]) == ["application/problem+json"]
    posts = [o for (_, method), o in operations.items() if method == "post"]
    assert len(posts) == 16
    assert all(operation["requestBody"]["required"] for operation in posts)


def test_the_schema_describes_links_that_carry_their_right(schema: Any) -> None:
    links = {
        path.split("/")[-3]: operation
        for path, item in schema["paths"].items()
        if "{token}" in path
        for operation in item.values()
    }

    assert set(links) == {"upload", "firmware"}
    for operation in links.values():
        assert "device" not in str(operation.get("security", ""))
        assert {"403", "410"} <= operation["responses"].keys()


def test_the_schema_of_a_message_matches_the_protocol(schema: Any) -> None:
    shapes = schema["components"]["schemas"]

    for struct in STRUCTS.values():
        shape, fields = (
            shapes[f"Device{struct.__name__}"],
            msgspec.structs.fields(struct),
        )
        assert shape["properties"].keys() == {field.name for field in fields}
        required = {field.name for field in fields if field.required}
        assert set(shape.get("required", [])) == required
    assert shapes["DeviceStatus"]["properties"]["boot"]["nullable"] is True
