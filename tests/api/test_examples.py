"""The examples of the OpenAPI document match their schemas, and they work."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator

from iotplatform.openapi.examples import EXAMPLES, FORM
from tests.api.world import API, DEVICE_API, IDENTIFY, LATER, World
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

DOCUMENT = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]


def examples_of(shown: Any) -> list[tuple[str, Any]]:
    """Return the examples of a part of the document, each with its name."""
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
                    for name, example in examples_of(content):
                        label = f"{method.upper()} {path.removeprefix(API)}"
                        schema, value = content["schema"], example["value"]
                        found.append((label, media, name, schema, value))
    return found


SENT, ANSWERED = shown("requests"), shown("answers")
CHILD = "child/{child}/"  # in a path: the message of a child, relayed by its gateway
POLL = f"GET {DEVICE_API}commands/"


def test_every_written_example_is_in_the_document() -> None:
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
                found += [(label, name) for name, _ in examples_of(parameter)]

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
    names |= {"playbook_id": "site-outage", "number": "1"}
    if "{run_id}" in path:
        names["run_id"] = str(world.list("playbook-runs")[0]["id"])
    if "{command_id}" in path:
        names["command_id"] = world.sent_command_of(child or "dev-2")
    path = path.format(**names)
    if path == "enrol/":
        value = value | {"key": enrolment_key(world)}
    if media == FORM:
        value = value | {"file": SimpleUploadedFile("release.bin", b"x")}
    raw = isinstance(value, str)
    with transaction.atomic():
        UserFactory(username="newcomer")
        client, url = world.client(), f"{API}{path}"
        if path.startswith(DEVICE_API):
            client, url = world.device("hub-2" if child else "dev-2"), path
        if media == FORM:
            answer = client.post(url, value, format="multipart")
        else:
            body = value if raw else json.dumps(value)
            answer = client.post(url, body, content_type=media)
        transaction.set_rollback(True)

    assert answer.status_code in (200, 201), answer.content


def test_the_example_search_finds_something(world: World) -> None:
    answer = world.client().get(f"{API}fleet/search/", query_of("GET fleet/search/"))

    assert answer.status_code == 200, answer.content
    assert answer.json()["results"]


def test_a_poll_gets_the_answer_of_the_example(world: World) -> None:
    (shown_answer,) = (value for label, *_, value in ANSWERED if label == POLL)
    with transaction.atomic():
        # The command of the world may have ended: it expires after a minute.
        made = world.post("commands", IDENTIFY)
        answer = world.device("dev-2").get(f"{DEVICE_API}commands/", query_of(POLL))
        transaction.set_rollback(True)

    assert answer.status_code == 200, answer.content
    polled = answer.json()
    (command,) = (row for row in polled["commands"] if row["id"] == made["id"])
    shown_command = shown_answer["commands"][0]
    own = {name: shown_command[name] for name in ("id", "expires_at")}
    assert polled | {"commands": [command | own]} == shown_answer


def query_of(label: str) -> dict[str, Any]:
    """Return the examples of an operation's query."""
    rows = EXAMPLES[label]
    return {str(e.parameter_only[0]): e.value for e in rows if e.parameter_only}


def enrolment_key(world: World) -> str:
    wanted = {"product": "sensor-s1", "site": "shanghai-01", "max_devices": 2}
    answer = world.client().post(
        f"{API}enrolment-keys/", wanted | {"expires_at": LATER}, format="json"
    )
    return str(answer.json()["key"])
