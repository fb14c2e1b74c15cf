"""Documents with unexpected JSON: every page of the device still works."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from registry.choices import Role, TokenScope
from registry.services.tokens import create_token
from tests.adapters.http_client import http_unit
from tests.commands.units import ask, fresh
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
SHAPES: list[Any] = [
    *(None, True, 0, -1.5, 1e308, 2**70, "", "x" * 3_000, "<b>{{ x }}</b>", "ꙮ\u2028"),
    *([], [[]], [1, "a", None, {"b": []}], {}, {"": ""}, {"a": {"b": {"c": [{}]}}}),
    {"from": 1, "to": {"from": None}, "value": [], "at": "never", "items": 7},
]
# Keys that the platform reads by name; each one gets every unexpected shape.
NAMES = (
    *("firmware", "config", "config_version", "interval", "battery", "name", "version"),
    *("reported", "desired", "progress", "percent", "code", "status", "uploads", "a.b"),
)


@pytest.fixture
def unit() -> Any:
    return http_unit()


@pytest.fixture
def person(unit: Any, client: Client) -> Client:
    member = MembershipFactory(tenant=unit.device.tenant, role=Role.ADMIN)
    client.force_login(member.user, "django.contrib.auth.backends.ModelBackend")
    _, key = create_token(user=member.user, name="all", scopes=TokenScope.values)
    client.program = APIClient()  # type: ignore[attr-defined]
    client.program.credentials(  # type: ignore[attr-defined]
        HTTP_AUTHORIZATION=f"Token {key}"
    )
    client.raise_request_exception = False
    return client


def look(person: Any, uid: str, *more: str) -> None:
    pages = ["", "now/", "story/", "course/"]
    for url in [*(f"/devices/{uid}/{page}" for page in pages), *more]:
        assert person.get(url).status_code == 200, url
    for page in ("", "state/", "timeline/"):
        assert person.program.get(f"/api/v1/devices/{uid}/{page}").status_code == 200


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: repr(shape)[:20])
def test_pages_work_with_any_reported_and_desired_json(
    unit: Any, person: Any, shape: Any
) -> None:
    url = f"/api/v1/devices/{unit.device.uid}/desired/"
    document = dict.fromkeys(NAMES, shape)
    unit.say("status", {"status": "online", "boot": 1, "seq": 1})
    first = unit.post("reported", {"version": 1, "reported": {"firmware": "1"}})
    wanted = person.program.patch(url, {"desired": document}, format="json")
    said = unit.post("reported", {"version": 2, "reported": document})

    assert first.status_code == 200
    for answer in (wanted, said):
        assert answer.status_code in (200, 202, 400, 409, 422), answer.content
    look(person, unit.device.uid)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: repr(shape)[:20])
def test_pages_work_with_any_result_json_of_a_command(
    unit: Any, person: Any, shape: Any
) -> None:
    command = ask(unit, "reboot")
    unit.poll()
    path = f"commands/{command.public_id}"
    for kind, body in (
        ("progress", {"percent": 5, "note": "x", "payload": shape, "detail": shape}),
        ("result", {"status": "succeeded", "code": "x", "payload": shape}),
    ):
        answer = unit.post(f"{path}/{kind}", body)
        assert answer.status_code in (200, 400, 422), answer.content

    look(
        person,
        unit.device.uid,
        f"/commands/{command.public_id}/",
        f"/commands/{command.public_id}/now/",
    )
    one = person.program.get(f"/api/v1/commands/{command.public_id}/")
    assert one.status_code == 200
    assert fresh(command)
