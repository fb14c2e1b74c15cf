"""Members of a tenant over REST: who may change roles and limits."""

from __future__ import annotations

import pytest
from rest_framework.test import APIClient

from registry.choices import Role
from registry.models import Membership, Site, Tenant
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProjectFactory,
    SiteFactory,
    UserFactory,
)
from tests.registry.conftest import ActAs, client_of, fields_of

PATH = "/api/v1/memberships/"


@pytest.fixture
def admin(act_as: ActAs) -> APIClient:
    """The only admin of acme."""
    return act_as(Role.ADMIN)


def test_an_admin_adds_a_limited_member_who_then_sees_only_that(
    admin: APIClient, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    DeviceFactory(tenant=acme)
    user = UserFactory(username="new@acme")
    project = ProjectFactory(tenant=acme, slug="p1")

    body = {"user": "new@acme", "role": "operator", "sites": [device.site.slug]}
    made = admin.post(PATH, body | {"projects": [project.slug]}, format="json")

    assert made.status_code == 201, made.content
    shown = made.json()
    assert set(shown) == {
        *("id", "user", "tenant", "role", "projects", "sites", "created_at")
    }
    assert shown["sites"] == [device.site.slug]
    assert shown["projects"] == ["p1"]
    found = client_of(user).get("/api/v1/devices/").json()["results"]
    assert [row["uid"] for row in found] == [device.uid]


@pytest.mark.parametrize("role", [role for role in Role if role != Role.ADMIN])
def test_only_an_admin_reads_or_writes_memberships(
    act_as: ActAs, acme: Tenant, role: Role
) -> None:
    other = MembershipFactory(tenant=acme)
    client, path = act_as(role), f"{PATH}{other.public_id}/"

    answers = [
        client.get(PATH),
        client.post(PATH, {"user": other.user.username}, format="json"),
        client.get(path),
        client.patch(path, {"role": "admin"}, format="json"),
        client.delete(path),
    ]

    assert {answer.status_code for answer in answers} == {403}


def test_an_admins_key_with_fewer_scopes_administers_nobody(act_as: ActAs) -> None:
    assert act_as(Role.ADMIN, "read", "operate").get(PATH).status_code == 403


def test_another_tenants_membership_is_not_found(
    admin: APIClient, globex: Tenant
) -> None:
    other = MembershipFactory(tenant=globex)
    path = f"{PATH}{other.public_id}/"

    assert admin.get(path).status_code == 404
    assert admin.patch(path, {"role": "admin"}, format="json").status_code == 404
    assert admin.delete(path).status_code == 404
    new = {"user": other.user.username, "tenant": "globex"}
    assert fields_of(admin.post(PATH, new, format="json")) == {"tenant"}


def test_the_last_admin_is_neither_demoted_nor_removed(
    admin: APIClient, acme: Tenant
) -> None:
    path = f"{PATH}{Membership.objects.get(role=Role.ADMIN).public_id}/"

    assert admin.patch(path, {"role": "viewer"}, format="json").status_code == 409
    assert admin.delete(path).status_code == 409

    MembershipFactory(tenant=acme, role=Role.ADMIN)
    assert admin.delete(path).status_code == 204


def test_a_limit_is_changed_and_lifted(admin: APIClient, acme: Tenant) -> None:
    first, second = (SiteFactory(tenant=acme, slug=slug) for slug in ("s1", "s2"))
    path = f"{PATH}{MembershipFactory(tenant=acme).public_id}/"

    for sites in ([first.slug], [first.slug, second.slug], []):
        answer = admin.patch(path, {"sites": sites}, format="json")
        assert answer.status_code == 200, answer.content
        assert answer.json()["sites"] == sites


def test_wrong_input_names_the_field(
    admin: APIClient, acme: Tenant, globex: Tenant, site: Site
) -> None:
    SiteFactory(tenant=globex, slug="theirs")
    UserFactory(username="known")
    cases = {
        "user": {"user": "nobody"},
        "sites": {"user": "known", "sites": ["theirs"]},
        "projects": {"user": "known", "projects": ["none"]},
        "role": {"user": "known", "role": "king"},
    }
    for field, body in cases.items():
        assert fields_of(admin.post(PATH, body, format="json")) == {field}

    limited = {"user": "known", "role": "admin", "sites": [site.slug]}
    assert fields_of(admin.post(PATH, limited, format="json")) == {"sites"}
    assert admin.post(PATH, {"user": "known"}, format="json").status_code == 201
    assert fields_of(admin.post(PATH, {"user": "known"}, format="json")) == {"user"}


def test_a_site_in_a_members_limit_is_not_deleted(
    admin: APIClient, acme: Tenant, site: Site
) -> None:
    UserFactory(username="new")
    body = {"user": "new", "sites": [site.slug]}
    assert admin.post(PATH, body, format="json").status_code == 201

    assert admin.delete(f"/api/v1/sites/{site.slug}/").status_code == 409


def test_the_list_costs_the_same_for_many(
    admin: APIClient, acme: Tenant, django_assert_max_num_queries: object
) -> None:
    MembershipFactory.create_batch(20, tenant=acme)

    with django_assert_max_num_queries(8):  # type: ignore[operator]
        assert len(admin.get(PATH).json()["results"]) == 21
