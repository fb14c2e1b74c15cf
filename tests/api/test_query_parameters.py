"""Every endpoint refuses a query parameter that its document does not list."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from iotplatform.common.query_parameters import EXTENSIONS, load_extensions
from registry.models import User
from tests.adapters.http_client import http_unit
from tests.api.test_every_operation import OPERATIONS, PARAMETER
from tests.api.world import DEVICE_API
from tests.factories import UserFactory
from tests.registry.conftest import client_of

pytestmark = pytest.mark.django_db

MADE_UP = "made_up"


@pytest.fixture
def superuser() -> User:
    """A person who may call everything."""
    found: User = UserFactory.create(is_superuser=True, is_staff=True)
    return found


def client_for(path: str, superuser: User) -> APIClient:
    return http_unit().client if path.startswith(DEVICE_API) else client_of(superuser)


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_endpoint_refuses_a_parameter_that_it_does_not_know(
    label: str, superuser: User
) -> None:
    method, path = label.split(" ", 1)
    path = PARAMETER.sub(str(UUID(int=0)), path)
    client = client_for(path, superuser)

    answer = client.generic(method, f"{path}?{MADE_UP}=1")

    assert answer.status_code == 400, answer.content
    [error] = answer.json()["errors"]
    assert error["field"] == MADE_UP


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_endpoint_knows_every_parameter_of_its_document(
    label: str, superuser: User
) -> None:
    method, path = label.split(" ", 1)
    listed: Any = OPERATIONS[label].definition.raw.get("parameters", ())
    names = [row["name"] for row in listed if row["in"] == "query"]
    query = "&".join(f"{name}=1" for name in names)
    path = PARAMETER.sub(str(UUID(int=0)), path)
    client = client_for(path, superuser)

    answer = client.generic(method, f"{path}?{query}")

    assert "query parameter" not in answer.content.decode(errors="replace")
    assert answer.status_code < 500


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_endpoint_refuses_a_second_value_of_what_takes_one(
    label: str, superuser: User
) -> None:
    method, path = label.split(" ", 1)
    listed: Any = OPERATIONS[label].definition.raw.get("parameters", ())
    # A wrong format is refused before anything else is read.
    rows = [r for r in listed if r["in"] == "query" and r["name"] != "format"]
    once = {
        row["name"]
        for row in rows
        if row["schema"].get("type") != "array" or row.get("explode") is False
    }
    query = "&".join(f"{row['name']}=1&{row['name']}=0" for row in rows)
    path = PARAMETER.sub(str(UUID(int=0)), path)
    client = client_for(path, superuser)

    answer = client.generic(method, f"{path}?{query}")

    errors = answer.json()["errors"] if answer.status_code == 400 else []
    refused = {e["field"] for e in errors if e["message"].endswith("only once.")}
    assert refused == once


def test_a_dry_run_that_is_said_twice_creates_nothing(superuser: User) -> None:
    client = client_of(superuser)

    answer = client.generic("POST", "/api/v1/devices/import/?dry_run=1&dry_run=0")

    [error] = answer.json()["errors"]
    assert error == {"field": "dry_run", "message": "This may be given only once."}


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("devices/export/?sites=s-1", "site"),
        ("devices/?sit=s-1", "site"),
        ("commands/?devices=dev-1", "device"),
        ("devices/import/?dry-run=1", "dry_run"),
    ],
)
def test_a_misspelt_parameter_is_answered_with_the_one_that_was_meant(
    query: str, meant: str, superuser: User
) -> None:
    client = client_of(superuser)
    send = client.post if "import" in query else client.get

    answer = send(f"/api/v1/{query}")

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["did_you_mean"] == meant


def test_the_document_lists_the_filters_of_the_export() -> None:
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]

    listed = document["paths"]["/api/v1/devices/export/"]["get"]["parameters"]

    assert {"site", "lifecycle", "tag", "format", "tenant"} <= {
        row["name"] for row in listed
    }


def test_nothing_is_left_for_two_threads_to_load_at_once() -> None:
    load_extensions()

    registered = [row for kind in EXTENSIONS for row in kind._registry]
    assert len(registered) > 10
    assert [row for row in registered if isinstance(row.target_class, str)] == []
