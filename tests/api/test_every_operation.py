"""Every operation of the OpenAPI document, with generated input, as each caller.

No answer is a server error, and each matches the document. Each example is sent as
every caller, always to the same, unchanged objects.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.world import API, DEVICE_API, World

pytestmark = pytest.mark.django_db

# Examples of each operation; each is sent as every caller. `make test-long` sends 60,
# which is at least 50 for each role; `make test` sends fewer of the same kinds.
EXAMPLES, EXAMPLES_LONG = 3, 60
# So many times more of them until one changes something: all may be refused.
UNTIL_CHANGED = 22
# A device's messages are made of many parts, and one of them must be right as a whole.
DEVICE_EXAMPLES = 30
# A tenant always has objects, so no request can delete one.
NEVER_DELETED = {"DELETE /api/v1/tenants/{slug}/"}
CHANGED = {200, 202, 204}
MOSTLY = [True] * 9 + [False]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PARAMETER = re.compile(r"\{(\w+)\}")


Operation = APIOperation[Any, Any, Any, Any]


def operations() -> dict[str, Operation]:
    """Return every operation of the document, by method and path."""
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    results = list(schema.get_all_operations())
    assert all(isinstance(result, Ok) for result in results), results
    found = [result.ok() for result in results if isinstance(result, Ok)]
    return {operation.label: operation for operation in found}


OPERATIONS = operations()


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_documented(
    label: str, world: World, counted: Counter[str], pytestconfig: pytest.Config
) -> None:
    operation = OPERATIONS[label]
    known = names_in(world, operation.path)
    fields = known_fields(world)
    callers = world.callers(operation.path)
    kind = "device" if operation.path.startswith(DEVICE_API) else "REST"
    counted[f"{kind} operations given made-up input"] += 1
    answered: Counter[int] = Counter()
    examples = DEVICE_EXAMPLES if kind == "device" else EXAMPLES
    if pytestconfig.getoption("--long"):
        examples = EXAMPLES_LONG

    wanted = examples * len(callers)
    changes = operation.method in ("patch", "delete") and label not in NEVER_DELETED

    def send(data: st.DataObject) -> None:
        mode = data.draw(st.sampled_from(GenerationMode))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        if known and data.draw(st.sampled_from(MOSTLY)):
            case.path_parameters = data.draw(st.sampled_from(known)).copy()
        if "If-Match" in case.headers and data.draw(st.sampled_from(MOSTLY)):
            # A generated version is always outdated: the view would refuse at once.
            del case.headers["If-Match"]
        name_what_exists(case, fields, data)
        if answered.total() >= wanted and CHANGED & answered.keys():
            return
        for authorization in callers.values():
            answered[send_as(case, authorization)] += 1

    for number in (examples, UNTIL_CHANGED * examples):
        if changes and CHANGED & answered.keys():
            break
        settings(
            max_examples=number,
            deadline=None,
            database=None,
            derandomize=not pytestconfig.getoption("--long"),
            suppress_health_check=list(HealthCheck),
        )(given(data=st.data())(send))()
        if not changes:
            break

    for status, count in answered.items():
        counted[f"{kind} requests of made-up input, answered {status}"] += count
    assert answered.total() >= wanted
    if kind == "device":
        assert 200 in answered, f"no request was accepted: {answered}"
    if changes:
        assert CHANGED & answered.keys(), f"nothing was changed: {answered}"


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_refuses_an_unknown_key(label: str) -> None:
    method, path = label.split(" ", 1)
    path = PARAMETER.sub(str(UUID(int=0)), path)
    client = APIClient(headers={"Authorization": "Token iot_unknown"})

    answer = client.generic(method, path)

    if "{token}" in label:  # the right is in the link
        assert answer.status_code == 403
        return
    # These two give keys to callers without one.
    if path in (f"{API}auth/token/", f"{API}enrol/"):
        assert answer.status_code == 400
        return
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"


@contextmanager
def connection_kept() -> Iterator[None]:
    """Keep requests from closing the connection that contains the test's rows.

    Django's test client does the same around each request.
    """
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def send_as(case: Case[Any], authorization: str) -> int:
    """Send a case with this header, check the answer, undo its changes."""
    with connection_kept(), transaction.atomic():
        answer = case.call(headers={"Authorization": authorization})
        transaction.set_rollback(True)
    case.validate_response(answer, checks=CHECKS)
    return answer.status_code


def names_in(world: World, path: str) -> list[dict[str, str]]:
    """Return the parameters of a path that name objects of the world."""
    if "{token}" in path:
        return [{"token": world.link_token_of(path)}]
    if path.startswith(DEVICE_API):
        uid = "kid-1" if "{child}" in path else "dev-2"
        names = {"child": uid, "command_id": world.sent_command_of(uid)}
        wanted = {name: names[name] for name in PARAMETER.findall(path)}
        return [wanted] if wanted else []
    found: list[dict[str, str]] = [{}]
    collection = ""
    for part in path.removeprefix(API).strip("/").split("/"):
        parameter = PARAMETER.fullmatch(part)
        if parameter is None:
            collection = f"{collection}/{part}" if collection else part
            continue
        found = [
            names | {parameter[1]: name}
            for names in found
            for name in names_of(world, collection.format(**names), parameter[1])
        ]
        collection = f"{collection}/{part}"
    return [names for names in found if names]


def names_of(world: World, collection: str, parameter: str) -> list[str]:
    """Return values of the path's parameter that name an object of a collection."""
    key = parameter if parameter in ("uid", "slug", "name") else "id"
    rows = [row for row in world.list(collection) if not row.get("built_in")]
    names = [str(row[key]) for row in rows[:5] if key in row]
    assert names, f"The world has nothing in {collection}: add it to OBJECTS."
    return names


def known_fields(world: World) -> dict[str, list[str]]:
    """Return valid values of fields that name another object."""
    uids = [row["uid"] for row in world.list("devices")]
    found = {"device": uids, "gateway": uids, "replaced_by": uids, "tenant": ["acme"]}
    for name in ("site", "project", "product"):
        found[name] = [row["slug"] for row in world.list(f"{name}s")]
    return found


def name_what_exists(
    case: Case[Any], fields: dict[str, list[str]], data: st.DataObject
) -> None:
    """Put names of existing objects into half of the fields that need one."""
    for place in (case.body, case.query):
        if not isinstance(place, dict):
            continue
        for field in sorted(fields.keys() & place.keys()):
            if data.draw(st.booleans()):
                place[field] = data.draw(st.sampled_from(fields[field]))
