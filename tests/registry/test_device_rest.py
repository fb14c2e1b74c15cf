"""Devices over REST: registered, listed, shown, changed; and by whom not."""

from __future__ import annotations

from typing import Any

import pytest
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from registry.models import Device, LifecycleMove, Product, Site, Tenant
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)
from tests.registry.conftest import client_of

URL = "/api/v1/devices/"
FIELDS = {
    *("id", "uid", "name", "serial", "tenant", "project", "site", "space", "product"),
    *("hardware_revision", "batch", "kind", "gateway", "adapter", "lifecycle"),
    *("tags", "attributes", "created_at", "updated_at"),
}


@pytest.fixture
def site(acme: Tenant) -> Site:
    return SiteFactory(tenant=acme, slug="shanghai-01")


@pytest.fixture
def product(acme: Tenant) -> Product:
    return ProductFactory(
        tenant=acme,
        slug="sensor-s1",
        attributes_schema={
            "type": "object",
            "properties": {"battery_rev": {"enum": ["A", "B"]}},
            "additionalProperties": False,
        },
    )


@pytest.fixture
def minimal(site: Site, product: Product) -> dict[str, Any]:
    return {"uid": "dev-1", "site": site.slug, "product": product.slug}


def fields_of(answer: Any) -> set[str]:
    assert answer["Content-Type"] == "application/problem+json"
    return {row["field"] for row in answer.json()["errors"]}


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
    manager: APIClient, acme: Tenant, minimal: dict[str, Any]
) -> None:
    ProjectFactory(tenant=acme, slug="roof")
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
        "space": None,
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
        ({"attributes": {"colour": "red"}}, "attributes"),
        ({"attributes": []}, "attributes"),
        ({"lifecycle": "active"}, "lifecycle"),
        ({"sight": "shanghai-01"}, "sight"),
        ({"space": "hall-1"}, "space"),
        ({"hardware_revision": "b"}, "hardware_revision"),
        ({"batch": "b"}, "batch"),
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

    answer = manager.post(URL, minimal | wrong, format="json")

    assert answer.status_code == 400, answer.json()
    assert field in fields_of(answer)
    assert Device.objects.count() == 1


def test_what_is_missing_is_named_all_at_once(manager: APIClient) -> None:
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


def test_a_taken_uid_says_no_more_than_that(
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


def test_someone_of_several_tenants_must_name_one(
    acme: Tenant, globex: Tenant, minimal: dict[str, Any]
) -> None:
    user = UserFactory()
    for tenant in (acme, globex):
        MembershipFactory(user=user, tenant=tenant, role="manager")
    client = client_of(user)

    unnamed = client.post(URL, minimal, format="json")
    named = client.post(URL, minimal | {"tenant": "acme"}, format="json")
    by_query = client.post(
        f"{URL}?tenant=acme", minimal | {"uid": "dev-2"}, format="json"
    )

    assert unnamed.status_code == 400
    assert fields_of(unnamed) == {"tenant"}
    assert (named.status_code, by_query.status_code) == (201, 201)


def test_a_list_shows_ones_own_and_is_narrowed_by_filters(
    manager: APIClient, acme: Tenant, globex: Tenant, site: Site, product: Product
) -> None:
    DeviceFactory(tenant=globex, uid="theirs")
    DeviceFactory(tenant=acme, uid="there", tags=["winter"])
    DeviceFactory(tenant=acme, uid="here", site=site, lifecycle="retired")
    DeviceFactory(tenant=acme, uid="of-it", product=product, kind="gateway")

    def uids(query: str) -> set[str]:
        answer = manager.get(f"{URL}{query}")
        assert answer.status_code == 200, answer.json()
        return {row["uid"] for row in answer.json()["results"]}

    assert uids("") == uids("?tenant=acme") == {"there", "here", "of-it"}
    assert uids("?site=shanghai-01") == uids("?lifecycle=retired") == {"here"}
    assert uids("?product=sensor-s1") == uids("?kind=gateway") == {"of-it"}
    assert uids("?tag=winter") == {"there"}
    assert uids("?site=munich-01") == set()
    for wrong in ("lifecycle=dead", "kind=x"):
        assert fields_of(manager.get(f"{URL}?{wrong}")) == {wrong.split("=")[0]}
    for unknown in ("globex", "nobody"):
        assert manager.get(f"{URL}?tenant={unknown}").status_code == 404


def test_a_list_costs_the_same_for_many_devices(
    manager: APIClient, acme: Tenant, django_assert_max_num_queries: Any
) -> None:
    DeviceFactory.create_batch(15, tenant=acme)

    with django_assert_max_num_queries(5) as queries:
        assert len(manager.get(URL).json()["results"]) == 15

    assert isinstance(queries, CaptureQueriesContext)


def test_a_device_is_changed_in_what_may_change(
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
def test_a_change_that_may_not_be_changes_nothing(
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


def test_a_slug_that_two_tenants_have_needs_a_tenant(acme: Tenant) -> None:
    user = UserFactory()
    for tenant in (acme, TenantFactory()):
        MembershipFactory(user=user, tenant=tenant, role="manager")
        SiteFactory(tenant=tenant, slug="hall")
    client = client_of(user)

    answer = client.get("/api/v1/sites/hall/")

    assert answer.status_code == 400
    assert fields_of(answer) == {"tenant"}
    assert client.get("/api/v1/sites/hall/?tenant=acme").status_code == 200
