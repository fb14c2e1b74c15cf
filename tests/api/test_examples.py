"""The examples of the OpenAPI document are real: they fit it, and they work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from iotplatform.openapi.examples import EXAMPLES, FORM
from tests.api.world import API, DEVICE_DOORS, IDENTIFY, LATER, World
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

DOCUMENT = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]


def summed_up(shown: Any) -> list[tuple[str, Any]]:
    """Return the examples of a part of the document, by the names they were given."""
    return [(e.get("summary", k), e) for k, e in shown.get("examples", {}).items()]


def shown(where: str) -> list[tuple[str, str, str, Any, Any]]:
    """Return every example of a body: operation, media type, name, schema, value."""
    found = []
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            bodies = {
                "requests": [operation.get("requestBody", {})],
                "answers": operation["responses"].values(),
            }
            for body in bodies[where]:
                for media, content in body.get("content", {}).items():
                    for name, example in summed_up(content):
                        label = f"{method.upper()} {path.removeprefix(API)}"
                        schema, value = content["schema"], example["value"]
                        found.append((label, media, name, schema, value))
    return found


SENT, ANSWERED = shown("requests"), shown("answers")
CHILD = "child/{child}/"  # of a path: a child's message is its gateway's, relayed
POLL = f"GET {DEVICE_DOORS}commands/"


def test_every_example_that_was_written_is_in_the_document() -> None:
    written = [
        (label, example.name)
        for label, examples in EXAMPLES.items()
        for example in examples
    ]
    found = [(label.replace(CHILD, ""), name) for label, _, name, *_ in SENT + ANSWERED]
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            label = f"{method.upper()} {path.removeprefix(API)}"
            for parameter in operation.get("parameters", []):
                found += [(label, name) for name, _ in summed_up(parameter)]

    assert set(found) == set(written)
    assert len(written) == len(set(written))


@pytest.mark.parametrize(
    "example", SENT + ANSWERED, ids=lambda row: f"{row[0]} {row[2]}"
)
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


@pytest.mark.parametrize("example", SENT, ids=lambda row: f"{row[0]} {row[2]}")
def test_an_example_works(example: Any, world: World) -> None:
    label, media, _, _, value = example
    path = label.removeprefix("POST ")
    child = "kid-1" if CHILD in path else ""
    names = {"uid": "dev-1", "child": child}
    if "{command_id}" in path:
        names["command_id"] = world.handed_to(child or "dev-2")
    path = path.format(**names)
    if path == "enrol/":
        value = value | {"key": enrolment_key(world)}
    if media == FORM:
        value = value | {"file": SimpleUploadedFile("release.bin", b"x")}
    raw = isinstance(value, str)
    with transaction.atomic():
        UserFactory(username="newcomer")
        client, url = world.client(), f"{API}{path}"
        if path.startswith(DEVICE_DOORS):
            client, url = world.device("hub-2" if child else "dev-2"), path
        if media == FORM:
            answer = client.post(url, value, format="multipart")
        else:
            body = value if raw else json.dumps(value)
            answer = client.post(url, body, content_type=media)
        transaction.set_rollback(True)

    assert answer.status_code in (200, 201), answer.content


def test_the_example_of_a_search_finds_something(world: World) -> None:
    answer = world.client().get(f"{API}fleet/search/", queried("GET fleet/search/"))

    assert answer.status_code == 200, answer.content
    assert answer.json()["results"]


def test_the_example_of_a_poll_is_handed_out_as_it_is_shown(world: World) -> None:
    (shown_answer,) = (value for label, *_, value in ANSWERED if label == POLL)
    with transaction.atomic():
        # The world's own may have ended meanwhile: it is good for a minute.
        made = world.post("commands", IDENTIFY)
        answer = world.device("dev-2").get(f"{DEVICE_DOORS}commands/", queried(POLL))
        transaction.set_rollback(True)

    assert answer.status_code == 200, answer.content
    handed = answer.json()
    (command,) = (row for row in handed["commands"] if row["id"] == made["id"])
    shown_command = shown_answer["commands"][0]
    own = {name: shown_command[name] for name in ("id", "expires_at")}
    assert handed | {"commands": [command | own]} == shown_answer


def queried(label: str) -> dict[str, Any]:
    """Return the examples of an operation's query."""
    rows = EXAMPLES[label]
    return {str(e.parameter_only[0]): e.value for e in rows if e.parameter_only}


def enrolment_key(world: World) -> str:
    wanted = {"product": "sensor-s1", "site": "shanghai-01", "max_devices": 2}
    answer = world.client().post(
        f"{API}enrolment-keys/", wanted | {"expires_at": LATER}, format="json"
    )
    return str(answer.json()["key"])
