"""Devices over REST: who sees which, and how a list is filtered."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Device, Product, Site, Tenant
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)
from tests.registry.conftest import client_of, fields_of

URL = "/api/v1/devices/"


def test_a_member_of_several_tenants_must_name_one(
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


def test_a_list_shows_the_callers_devices_and_obeys_filters(
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

    with django_assert_max_num_queries(8):
        assert len(manager.get(URL).json()["results"]) == 15


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


def test_another_tenants_device_does_not_exist(
    stranger: APIClient, acme: Tenant
) -> None:
    url = f"{URL}{DeviceFactory(tenant=acme, name='old').uid}/"

    answers = [
        stranger.get(url),
        stranger.patch(url, {"name": "new"}, format="json"),
        stranger.get(f"{url}?tenant=acme"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 3
    assert Device.objects.get().name == "old"


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_a_viewer_reads_and_changes_nothing(
    act_as: Any, acme: Tenant, minimal: dict[str, Any], role: str
) -> None:
    url = f"{URL}{DeviceFactory(tenant=acme, name='old').uid}/"
    client = act_as(role)

    refused = [
        client.patch(url, {"name": "new"}, format="json"),
        client.post(URL, minimal, format="json"),
    ]

    assert client.get(url).status_code == 200
    assert [answer.status_code for answer in refused] == [403] * 2
    assert Device.objects.get().name == "old"


def test_an_anonymous_caller_changes_nothing(
    acme: Tenant, minimal: dict[str, Any]
) -> None:
    url = f"{URL}{DeviceFactory(tenant=acme).uid}/"
    client = APIClient()

    answers = [
        client.get(url),
        client.patch(url, {"name": "new"}, format="json"),
        client.post(URL, minimal, format="json"),
    ]

    assert [answer.status_code for answer in answers] == [401] * 3
    assert Device.objects.count() == 1
