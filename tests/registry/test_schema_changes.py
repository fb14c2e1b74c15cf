"""A product's schema changes: refused while existing devices do not match it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from registry.models import Product, Tenant
from tests.factories import DeviceFactory, ProductFactory, UserFactory

URL = "/api/v1/products/meter-m1/"


def schema(*allowed: str) -> dict[str, Any]:
    return {"type": "object", "properties": {"rev": {"enum": list(allowed)}}}


@pytest.fixture
def meter(acme: Tenant) -> Product:
    """A product with devices of revisions A, B and C."""
    product: Product = ProductFactory(
        tenant=acme, slug="meter-m1", attributes_schema=schema("A", "B", "C")
    )
    for number, rev in enumerate("AABBBC"):
        uid = f"m-{number}"
        DeviceFactory(tenant=acme, product=product, uid=uid, attributes={"rev": rev})
    DeviceFactory(
        tenant=acme, product=product, lifecycle="retired", attributes={"rev": "Z"}
    )
    DeviceFactory(tenant=acme, attributes={"rev": "Y"})  # another product's
    return product


def change(client: APIClient, query: str = "", **fields: Any) -> Any:
    return client.patch(URL + query, fields, format="json")


def test_a_schema_that_devices_do_not_match_is_refused_with_their_number(
    manager: APIClient, meter: Product
) -> None:
    answer = change(manager, attributes_schema=schema("A"), name="New")

    assert answer.status_code == 409, answer.content
    body = answer.json()
    assert (body["devices"], body["uids"]) == (4, ["m-2", "m-3", "m-4", "m-5"])
    (error,) = body["errors"]
    assert error["field"] == "attributes_schema"
    assert error["message"].startswith("4 of the product's devices do not match: m-2:")
    meter.refresh_from_db()
    assert meter.attributes_schema == schema("A", "B", "C")
    assert meter.name != "New"


def test_a_schema_that_all_devices_match_is_accepted(
    manager: APIClient, meter: Product
) -> None:
    answer = change(manager, attributes_schema=schema("A", "B", "C", "D"))

    assert answer.status_code == 200, answer.content


def test_a_forced_schema_applies_at_the_next_change_of_a_device(
    manager: APIClient, meter: Product
) -> None:
    answer = change(manager, "?force=1", attributes_schema=schema("A"))

    assert answer.status_code == 200, answer.content
    device = "/api/v1/devices/m-2/"
    assert manager.get(device).json()["attributes"] == {"rev": "B"}
    refused = manager.patch(device, {"name": "x"}, format="json")
    assert refused.status_code == 400
    fitting = {"name": "x", "attributes": {"rev": "A"}}
    assert manager.patch(device, fitting, format="json").status_code == 200


def test_other_changes_of_a_product_check_no_device(
    manager: APIClient, meter: Product
) -> None:
    change(manager, "?force=1", attributes_schema=schema("A"))

    assert change(manager, name="New").status_code == 200
    same = change(manager, attributes_schema=schema("A"))
    assert same.status_code == 200


def test_nobody_forces_another_tenants_schema(
    viewer: APIClient, stranger: APIClient, meter: Product
) -> None:
    for client, status in ((viewer, 403), (stranger, 404)):
        answer = change(client, "?force=1", attributes_schema=schema("A"))
        assert answer.status_code == status


def test_the_admin_refuses_such_a_schema_too_unless_forced(meter: Product) -> None:
    client = Client()
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    page = reverse("admin:registry_product_change", args=[meter.pk])
    form = {
        "slug": meter.slug,
        "name": meter.name,
        "kind": meter.kind,
        "attributes_schema": '{"required": ["serial"]}',
        "metrics": "[]",
        "reported_keys": "[]",
        "heartbeat_seconds": "60",
    }

    refused = client.post(page, form, follow=True)
    meter.refresh_from_db()
    before = meter.attributes_schema
    client.post(page, form | {"force": "on"})
    meter.refresh_from_db()

    assert "6 of the product&#x27;s devices do not match" in refused.content.decode()
    assert before == schema("A", "B", "C")
    assert meter.attributes_schema == {"required": ["serial"]}
