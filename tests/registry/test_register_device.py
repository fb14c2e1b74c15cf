"""Devices over REST: registered, or refused with every wrong field."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.urls import URLPattern
from rest_framework.test import APIClient

from registry.api.urls import urlpatterns
from registry.models import Device, LifecycleMove, Product, Site, Tenant
from registry.validators import NO_UIDS
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    SpaceFactory,
)
from tests.registry.conftest import fields_of
from tests.registry.enrolment import enrol, make_key, used

URL = "/api/v1/devices/"
FIELDS = {
    *("id", "uid", "name", "serial", "tenant", "project", "site", "space", "product"),
    *("hardware_revision", "batch", "kind", "gateway", "adapter", "lifecycle"),
    *("tags", "attributes", "created_at", "updated_at", "replaces", "replaced_by"),
}


def test_a_device_is_registered_with_what_is_required(
    manager: APIClient, minimal: dict[str, Any]
) -> None:
    answer = manager.post(URL, minimal, format="json")

    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert set(body) == FIELDS
    assert body["tenant"] == "acme"
    assert (body["site"], body["product"]) == ("shanghai-01", "sensor-s1")
    assert (body["lifecycle"], body["kind"]) == ("provisioned", "standalone")
    assert (body["adapter"], body["tags"], body["attributes"]) == ("mqtt", [], {})
    assert body["space"] is body["hardware_revision"] is body["batch"] is None
    assert manager.get(f"{URL}dev-1/").json() == body
    assert LifecycleMove.objects.get(device__uid="dev-1").moved_to == "provisioned"


def test_every_field_can_be_given(
    manager: APIClient,
    acme: Tenant,
    site: Site,
    product: Product,
    minimal: dict[str, Any],
) -> None:
    ProjectFactory(tenant=acme, slug="roof")
    SpaceFactory(tenant=acme, site=site, slug="hall-1")
    revision = HardwareRevisionFactory(tenant=acme, product=product, slug="rev-b")
    BatchFactory(tenant=acme, hardware_revision=revision, slug="2026-07")
    gateway = DeviceFactory(tenant=acme, kind="gateway")
    given = minimal | {
        "name": "Door",
        "serial": "S-1",
        "tenant": "acme",
        "project": "roof",
        "kind": "child",
        "gateway": gateway.uid,
        "adapter": "http",
        "tags": ["winter", "roof", "winter"],
        "attributes": {"battery_rev": "B"},
        "space": "hall-1",
        "hardware_revision": "rev-b",
        "batch": "2026-07",
    }

    answer = manager.post(URL, given, format="json")

    assert answer.status_code == 201, answer.json()
    expected = given | {"tags": ["winter", "roof"]}
    assert {name: answer.json()[name] for name in given} == expected


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"uid": "a:b"}, "uid"),
        ({"uid": "@bridge"}, "uid"),
        ({"uid": "x" * 65}, "uid"),
        ({"uid": "a\n"}, "uid"),
        ({"uid": None}, "uid"),
        ({"uid": "import"}, "uid"),
        ({"uid": "export"}, "uid"),
        ({"site": "nowhere"}, "site"),
        ({"site": None}, "site"),
        ({"product": "nothing"}, "product"),
        ({"project": "nothing"}, "project"),
        ({"tenant": "globex"}, "tenant"),
        ({"kind": "gatewy"}, "kind"),
        ({"kind": "child"}, "gateway"),
        ({"kind": "child", "gateway": "nobody"}, "gateway"),
        ({"gateway": "plain"}, "gateway"),
        ({"kind": "child", "gateway": "plain"}, "gateway"),
        ({"adapter": "coap"}, "adapter"),
        ({"tags": ["two words"]}, "tags.0"),
        ({"tags": "winter"}, "tags"),
        ({"attributes": {"battery_rev": "C"}}, "attributes.battery_rev"),
        ({"attributes": {"colour": "red"}}, "attributes.colour"),
        ({"attributes": []}, "attributes"),
        ({"lifecycle": "active"}, "lifecycle"),
        ({"sight": "shanghai-01"}, "sight"),
        ({"space": "nowhere"}, "space"),
        ({"space": "elsewhere"}, "space"),
        ({"hardware_revision": "nothing"}, "hardware_revision"),
        ({"hardware_revision": "of-another"}, "hardware_revision"),
        ({"batch": "nothing"}, "batch"),
        ({"batch": "of-another"}, "hardware_revision"),
        ({"batch": "of-another", "hardware_revision": None}, "hardware_revision"),
    ],
)
def test_bad_input_names_the_field_and_registers_nothing(
    manager: APIClient,
    acme: Tenant,
    globex: Tenant,
    minimal: dict[str, Any],
    wrong: dict[str, Any],
    field: str,
) -> None:
    DeviceFactory(tenant=acme, uid="plain")
    SpaceFactory(tenant=acme, slug="elsewhere")
    other = HardwareRevisionFactory(tenant=acme, slug="of-another")
    BatchFactory(tenant=acme, hardware_revision=other, slug="of-another")

    answer = manager.post(URL, minimal | wrong, format="json")

    assert answer.status_code == 400, answer.json()
    assert field in fields_of(answer)
    assert Device.objects.count() == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"$ref": "#"}]},
        {"$ref": "#/$defs/nowhere"},
        {"properties": {"n": {"multipleOf": 0.5}}},
    ],
)
def test_a_schema_that_cannot_be_applied_is_refused_too(
    manager: APIClient, acme: Tenant, minimal: dict[str, Any], schema: dict[str, Any]
) -> None:
    ProductFactory(tenant=acme, slug="odd", attributes_schema=schema)
    device = minimal | {"product": "odd", "attributes": {"n": 10**400}}

    answer = manager.post(URL, device, format="json")

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {"attributes"}
    assert not Device.objects.exists()


def test_every_missing_and_unknown_attribute_is_named_once(
    manager: APIClient, acme: Tenant, minimal: dict[str, Any]
) -> None:
    schema = {
        "properties": {"color": {}, "size": {}},
        "required": ["color", "size"],
        "additionalProperties": False,
    }
    ProductFactory(tenant=acme, slug="odd", attributes_schema=schema)
    device = minimal | {"product": "odd", "attributes": {"colour": "red"}}

    answer = manager.post(URL, device, format="json")

    errors = [(row["field"], row["message"]) for row in answer.json()["errors"]]
    assert sorted(errors) == [
        ("attributes.color", "Is required."),
        ("attributes.colour", "Is not known."),
        ("attributes.size", "Is required."),
    ]


def test_all_missing_fields_are_named_at_once(manager: APIClient) -> None:
    answer = manager.post(URL, {}, format="json")

    assert answer.status_code == 400
    assert fields_of(answer) == {"uid", "site", "product"}


def test_another_tenants_site_product_and_gateway_do_not_exist(
    manager: APIClient, globex: Tenant, minimal: dict[str, Any]
) -> None:
    SiteFactory(tenant=globex, slug="munich-01")
    ProductFactory(tenant=globex, slug="meter-m1")
    DeviceFactory(tenant=globex, uid="theirs", kind="gateway")
    theirs = {"site": "munich-01", "product": "meter-m1", "gateway": "theirs"}

    answer = manager.post(URL, minimal | theirs | {"kind": "child"}, format="json")

    assert answer.status_code == 400
    assert fields_of(answer) <= {"site", "product", "gateway"}
    assert not Device.objects.filter(uid="dev-1").exists()


def test_a_taken_uid_does_not_reveal_its_tenant(
    manager: APIClient, acme: Tenant, globex: Tenant, minimal: dict[str, Any]
) -> None:
    DeviceFactory(tenant=globex, uid="theirs")
    DeviceFactory(tenant=acme, uid="ours")

    answers = [
        manager.post(URL, minimal | {"uid": uid}, format="json")
        for uid in ("theirs", "ours")
    ]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert answers[0].json()["errors"] == answers[1].json()["errors"]
    assert fields_of(answers[0]) == {"uid"}


def test_a_serial_is_used_once_in_a_tenant(
    manager: APIClient, acme: Tenant, globex: Tenant, minimal: dict[str, Any]
) -> None:
    DeviceFactory(tenant=globex, serial="S-1")
    first = manager.post(URL, minimal | {"serial": "S-1"}, format="json")

    second = manager.post(URL, minimal | {"uid": "x", "serial": "S-1"}, format="json")

    assert first.status_code == 201
    assert second.status_code == 400
    assert fields_of(second) == {"serial"}


def test_every_path_beside_those_of_devices_is_a_reserved_uid() -> None:
    beside = {
        found[1]
        for pattern in urlpatterns
        if isinstance(pattern, URLPattern)
        and (found := re.fullmatch(r"devices/([A-Za-z0-9_.-]+)/", str(pattern.pattern)))
    }

    assert beside
    assert beside <= NO_UIDS


def test_no_device_enrols_with_a_reserved_uid(site: Site, product: Product) -> None:
    row, key = make_key(site, product)

    answer = enrol(key, uid="import")

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {"uid"}
    assert used(row) == 0
