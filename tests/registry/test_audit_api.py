"""GET audit/: who may read which entries, and how they are filtered."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import AuditEntry, Device, Tenant, User
from tests.acting import acting
from tests.factories import DeviceFactory, SiteFactory, UserFactory

URL = "/api/v1/audit/"


@pytest.fixture
def person(db: None) -> User:
    return UserFactory(username="paul@acme")


def results(client: APIClient, **params: Any) -> list[dict[str, Any]]:
    answer = client.get(URL, params)
    assert answer.status_code == 200, answer.json()
    rows: list[dict[str, Any]] = answer.json()["results"]
    return rows


def test_a_change_is_shown_with_names_instead_of_keys(
    manager: APIClient, acme: Tenant, person: User
) -> None:
    device = DeviceFactory(tenant=acme, uid="dev-1")
    was, site = device.site, SiteFactory(tenant=acme, slug="new-site")
    with acting(person, door="console"):
        Device.objects.filter(pk=device.pk).update(site=site, name="valve")

    (row,) = results(manager)

    assert row.pop("id")
    assert row.pop("at")
    assert row == {
        "tenant": "acme",
        "kind": "device",
        "object": "dev-1",
        "object_id": str(device.public_id),
        "device": "dev-1",
        "action": "changed",
        "before": {"site": was.slug, "name": ""},
        "after": {"site": "new-site", "name": "valve"},
        "user": "paul@acme",
        "token": "",
        "door": "console",
    }


def test_every_filter_finds_what_it_names(
    manager: APIClient, acme: Tenant, person: User
) -> None:
    other = UserFactory(username="olga@acme")
    with acting(person):
        device = DeviceFactory(tenant=acme, uid="dev-1")
    with acting(other):
        Device.objects.filter(pk=device.pk).update(name="x")
    hour = timedelta(hours=1)
    now = timezone.now()

    def found(**params: Any) -> list[str]:
        rows = results(manager, **params)
        return [f"{row['kind']} {row['action']}" for row in rows]

    assert found(user="olga@acme") == ["device changed"]
    assert found(kind="site") == ["site created"]
    assert found(object="dev") == ["device changed", "device created"]
    assert found(object=str(device.public_id)) == ["device changed", "device created"]
    assert found(device="dev-1") == ["device changed", "device created"]
    assert found(action="changed") == ["device changed"]
    assert len(found(**{"from": (now - hour).isoformat()})) == 4
    assert found(to=(now - hour).isoformat()) == []
    assert found(tenant="acme", limit=1) == ["device changed"]


def test_pages_follow_one_another(
    manager: APIClient, acme: Tenant, person: User
) -> None:
    with acting(person):
        for n in range(5):
            SiteFactory(tenant=acme, slug=f"site-{n}")

    first = manager.get(URL, {"limit": "3", "kind": "site"}).json()
    second = manager.get(first["next"]).json()

    slugs = [row["object"] for row in [*first["results"], *second["results"]]]
    assert slugs == [f"site-{n}" for n in reversed(range(5))]
    assert second["next"] is None


def test_only_people_with_the_audit_right_read_the_log_of_their_tenant(
    acme: Tenant, globex: Tenant, act_as: Any, stranger: APIClient, person: User
) -> None:
    with acting(person):
        SiteFactory(tenant=acme)
        SiteFactory(tenant=globex, slug="theirs")

    for role in ("viewer", "operator", "approver"):
        assert act_as(role).get(URL).status_code == 403
    assert APIClient().get(URL).status_code == 401
    assert len(results(act_as("manager"))) == 1
    assert len(results(act_as("admin", "read"))) == 1
    assert [row["object"] for row in results(stranger)] == ["theirs"]
    assert stranger.get(URL, {"tenant": "acme"}).status_code == 404


def test_only_superusers_read_entries_without_a_tenant(
    acme: Tenant, manager: APIClient, superuser: APIClient, person: User
) -> None:
    with acting(person):
        User.objects.filter(pk=person.pk).update(first_name="Paul")

    assert results(manager) == []
    (row,) = results(superuser, kind="user")
    assert (row["tenant"], row["object"]) == (None, "paul@acme")
    assert results(superuser, tenant="acme") == []


def test_a_page_costs_the_same_for_one_and_for_many(
    manager: APIClient,
    acme: Tenant,
    person: User,
    django_assert_max_num_queries: Any,
) -> None:
    with acting(person):
        for _ in range(20):
            DeviceFactory(tenant=acme)

    with django_assert_max_num_queries(10):
        assert len(results(manager)) == 60


@pytest.mark.parametrize("wrong", ["from=soon", "action=burnt", "cursor=zz", "limit=0"])
def test_a_bad_filter_is_named(manager: APIClient, wrong: str) -> None:
    answer = manager.get(f"{URL}?{wrong}")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == wrong.split("=")[0]


def test_the_admin_shows_the_log_read_only(
    acme: Tenant, person: User, client: Any
) -> None:
    with acting(person):
        SiteFactory(tenant=acme, slug="new-site")
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    entry = AuditEntry.objects.get()
    base = "/admin/registry/auditentry/"

    listed = client.get(base, {"q": "new-s"})
    shown = client.get(f"{base}{entry.pk}/change/")

    assert "new-site" in listed.content.decode()
    assert shown.status_code == 200
    assert client.get(f"{base}add/").status_code == 403
    assert client.post(f"{base}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
