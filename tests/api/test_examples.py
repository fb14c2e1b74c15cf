"""The examples of the OpenAPI document are real: they fit it, and they work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from iotplatform.api_examples import EXAMPLES, FORM
from tests.api.world import API, LATER, World
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

DOCUMENT = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]


def shown() -> list[tuple[str, str, str, Any, Any]]:
    """Return every example of a body: operation, media type, name, schema, value."""
    found = []
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            bodies = [
                operation.get("requestBody", {}),
                *operation["responses"].values(),
            ]
            for body in bodies:
                for media, content in body.get("content", {}).items():
                    for name, example in content.get("examples", {}).items():
                        label = f"{method.upper()} {path.removeprefix(API)}"
                        schema, value = content["schema"], example["value"]
                        found.append((label, media, name, schema, value))
    return found


SHOWN = shown()


def test_every_example_that_was_written_is_in_the_document() -> None:
    written = sum(e.parameter_only is None for row in EXAMPLES.values() for e in row)
    parameters = DOCUMENT["paths"][f"{API}fleet/search/"]["get"]["parameters"]

    assert len(SHOWN) == written
    assert {label for label, *_ in SHOWN} == EXAMPLES.keys() - {"GET fleet/search/"}
    assert sum("examples" in parameter for parameter in parameters) == 2


@pytest.mark.parametrize("example", SHOWN, ids=lambda row: f"{row[0]} {row[2]}")
def test_an_example_fits_its_schema(example: Any) -> None:
    *_, schema, value = example
    whole = {
        **as_json_schema(schema),
        "components": as_json_schema(DOCUMENT["components"]),
    }

    Draft202012Validator(whole).validate(value)


def as_json_schema(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema, strict about unknown members."""
    if isinstance(schema, list):
        return [as_json_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: as_json_schema(part) for name, part in schema.items()}
    if "properties" in found and isinstance(found.get("type"), str):
        found.setdefault("additionalProperties", False)
    if found.pop("nullable", None) is True:
        return {"anyOf": [found, {"type": "null"}]}
    return found


@pytest.mark.parametrize("example", SHOWN, ids=lambda row: f"{row[0]} {row[2]}")
def test_an_example_works(example: Any, world: World) -> None:
    label, media, _, _, value = example
    path = label.removeprefix("POST ").format(uid="dev-1")
    if path == "enrol/":
        value = value | {"key": enrolment_key(world)}
    if media == FORM:
        value = value | {"file": SimpleUploadedFile("release.bin", b"x")}
    raw = isinstance(value, str)
    with transaction.atomic():
        UserFactory(username="newcomer")
        client = world.client()
        url = f"{API}{path}"
        if media == FORM:
            answer = client.post(url, value, format="multipart")
        else:
            body = value if raw else json.dumps(value)
            answer = client.post(url, body, content_type=media)
        transaction.set_rollback(True)

    assert answer.status_code in (200, 201), answer.content


def test_the_example_of_a_search_finds_something(world: World) -> None:
    rows = EXAMPLES["GET fleet/search/"]
    query = {str(e.parameter_only[0]): e.value for e in rows if e.parameter_only}

    answer = world.client().get(f"{API}fleet/search/", query)

    assert answer.status_code == 200, answer.content
    assert answer.json()["results"]


def enrolment_key(world: World) -> str:
    wanted = {"product": "sensor-s1", "site": "shanghai-01", "max_devices": 2}
    answer = world.client().post(
        f"{API}enrolment-keys/", wanted | {"expires_at": LATER}, format="json"
    )
    return str(answer.json()["key"])
