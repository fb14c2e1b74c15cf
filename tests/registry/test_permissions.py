"""The table of rights, and the functions that read it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser

from registry.choices import Role
from registry.models import Tenant
from registry.permissions import (
    RIGHTS_OF_ROLE,
    Right,
    is_platform_admin,
    may,
    rights_in,
    rights_of_scopes,
    tenants_where,
)
from tests.factories import MembershipFactory, UserFactory

EXPECTED = {
    Role.VIEWER: {"view"},
    Role.OPERATOR: {"view", "operate"},
    Role.APPROVER: {"view", "operate", "approve"},
    Role.MANAGER: {"view", "operate", "approve", "manage", "audit"},
    Role.ADMIN: {"view", "operate", "approve", "manage", "audit", "administer"},
}


def test_every_role_has_its_rights() -> None:
    assert set(RIGHTS_OF_ROLE) == set(Role)


@pytest.mark.parametrize("role", Role)
def test_a_role_applies_in_its_tenant_and_in_no_other(
    acme: Tenant, globex: Tenant, role: Role
) -> None:
    user = MembershipFactory(tenant=acme, role=role).user

    assert rights_in(user, acme.pk) == EXPECTED[role]
    assert rights_in(user, globex.pk) == set()
    assert tenants_where(user, Right.VIEW) == [acme]
    assert (tenants_where(user, Right.MANAGE) == [acme]) is ("manage" in EXPECTED[role])


def test_a_superuser_has_every_right_in_every_tenant(
    acme: Tenant, globex: Tenant
) -> None:
    user = UserFactory(is_superuser=True)

    assert all(may(user, globex.pk, right) for right in Right)
    assert tenants_where(user, Right.ADMINISTER) == [acme, globex]
    assert is_platform_admin(user)


def test_anonymous_and_inactive_people_have_no_rights(acme: Tenant) -> None:
    shut_out = MembershipFactory(tenant=acme, role="admin").user
    shut_out.is_active = False

    for user in (AnonymousUser(), shut_out):
        assert not may(user, acme.pk, Right.VIEW)
        assert tenants_where(user, Right.VIEW) == []
        assert not is_platform_admin(user)


def test_scopes_limit_a_superuser_too(acme: Tenant) -> None:
    user = UserFactory(is_superuser=True)
    user.rights_limit = rights_of_scopes(["operate"])

    assert rights_in(user, acme.pk) == {"view", "operate", "approve", "audit"}
    assert tenants_where(user, Right.MANAGE) == []
    assert not is_platform_admin(user)
    assert rights_of_scopes(["unknown"]) == frozenset()


def test_roles_are_read_once_per_request(
    acme: Tenant, django_assert_num_queries: object
) -> None:
    user = MembershipFactory(tenant=acme).user

    with django_assert_num_queries(1):  # type: ignore[operator]
        for right in Right:
            may(user, acme.pk, right)
