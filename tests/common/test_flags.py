"""A flag is 1, true, 0 or false; anything else is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Device, Product, Tenant
from tests.factories import ProductFactory, SiteFactory
from tests.registry.conftest import fields_of

pytestmark = pytest.mark.django_db

API = "/api/v1/"
NOT_FLAGS = ["on", "y", "yes", "TRUE", "", "2", "off"]


@pytest.fixture
def product(acme: Tenant) -> Product:
    """A product; its tenant has the site ``s-1``."""
    SiteFactory.create(tenant=acme, slug="s-1")
    found: Product = ProductFactory.create(tenant=acme, slug="p-1")
    return found


def import_with(client: APIClient, query: str) -> Any:
    text = b"uid,site,product\ndev-1,s-1,p-1\n"
    return client.post(f"{API}devices/import/?{query}", text, content_type="text/csv")


@pytest.mark.parametrize("text", NOT_FLAGS)
def test_an_import_whose_dry_run_is_no_flag_is_refused(
    manager: APIClient,
    product: Product,
    text: str,
) -> None:
    answer = import_with(manager, f"dry_run={text}")

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {"dry_run"}
    assert not Device.objects.exists()


@pytest.mark.parametrize(
    ("text", "created"), [("1", 0), ("true", 0), ("0", 1), ("false", 1)]
)
def test_a_dry_run_creates_nothing(
    manager: APIClient,
    product: Product,
    text: str,
    created: int,
) -> None:
    answer = import_with(manager, f"dry_run={text}")

    assert answer.json() == {"created": 1}
    assert Device.objects.count() == created


@pytest.mark.parametrize("text", NOT_FLAGS)
@pytest.mark.parametrize(
    ("path", "name"),
    [("alarms/", "open"), ("alarms/", "flapping"), ("products/", "takes_commands")],
)
def test_a_filter_that_is_no_flag_is_refused(
    manager: APIClient,
    path: str,
    name: str,
    text: str,
) -> None:
    answer = manager.get(f"{API}{path}", {name: text})

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {name}


@pytest.mark.parametrize(("text", "found"), [("true", 1), ("1", 1), ("0", 0)])
def test_a_filter_that_is_a_flag_narrows_the_list(
    manager: APIClient,
    product: Product,
    text: str,
    found: int,
) -> None:
    answer = manager.get(f"{API}products/", {"takes_commands": text})

    assert len(answer.json()["results"]) == found


@pytest.mark.parametrize("text", NOT_FLAGS)
def test_a_product_is_not_changed_by_force_that_is_no_flag(
    manager: APIClient,
    product: Product,
    text: str,
) -> None:
    answer = manager.patch(
        f"{API}products/p-1/?force={text}", {"name": "New"}, format="json"
    )

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {"force"}


@pytest.mark.parametrize("value", ["on", "yes", "TRUE", "", 2, [], None])
def test_a_field_that_is_no_flag_is_refused(
    manager: APIClient,
    product: Product,
    value: object,
) -> None:
    body = {"takes_commands": value}

    answer = manager.patch(f"{API}products/p-1/", body, format="json")

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {"takes_commands"}


@pytest.mark.parametrize("value", ["on", "yes", 2])
def test_a_job_whose_dry_run_is_no_flag_is_refused(
    manager: APIClient,
    value: object,
) -> None:
    answer = manager.post(f"{API}jobs/", {"dry_run": value}, format="json")

    assert "dry_run" in fields_of(answer)
