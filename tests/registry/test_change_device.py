"""Devices over REST: which fields may change, and at which version."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Product, Site, Tenant
from tests.factories import (
    DeviceFactory,
)
from tests.registry.conftest import fields_of

URL = "/api/v1/devices/"


def test_the_changeable_fields_of_a_device_are_changed(
    manager: APIClient, acme: Tenant, site: Site, product: Product
) -> None:
    device = DeviceFactory(tenant=acme)
    given = {
        "name": "Door",
        "site": site.slug,
        "product": product.slug,
        "tags": ["winter"],
        "attributes": {"battery_rev": "A"},
    }

    answer = manager.patch(f"{URL}{device.uid}/", given, format="json")

    assert answer.status_code == 200, answer.json()
    assert {name: answer.json()[name] for name in given} == given
    assert manager.get(f"{URL}{device.uid}/").json() == answer.json()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"uid": "other"}, "uid"),
        ({"tenant": "globex"}, "tenant"),
        ({"lifecycle": "retired"}, "lifecycle"),
        ({"kind": "standalone"}, "kind"),
        ({"kind": "child", "gateway": "gate"}, "gateway"),
        ({"serial": "taken"}, "serial"),
        ({"space": "hall"}, "space"),
    ],
)
def test_a_refused_change_changes_nothing(
    manager: APIClient, acme: Tenant, wrong: dict[str, Any], field: str
) -> None:
    gateway = DeviceFactory(tenant=acme, uid="gate", kind="gateway", name="old")
    DeviceFactory(tenant=acme, kind="child", gateway=gateway, serial="taken")

    answer = manager.patch(f"{URL}gate/", wrong | {"name": "new"}, format="json")

    assert answer.status_code == 400, answer.json()
    assert field in fields_of(answer)
    gateway.refresh_from_db()
    assert (gateway.name, gateway.kind) == ("old", "gateway")


def test_a_change_to_an_older_version_is_refused(
    manager: APIClient, acme: Tenant
) -> None:
    url = f"{URL}{DeviceFactory(tenant=acme).uid}/"
    seen = manager.get(url)["ETag"]

    first = manager.patch(url, {"name": "a"}, format="json", HTTP_IF_MATCH=seen)
    second = manager.patch(url, {"name": "b"}, format="json", HTTP_IF_MATCH=seen)

    assert first.status_code == 200
    assert second.status_code == 412
    assert manager.get(url).json()["name"] == "a"
