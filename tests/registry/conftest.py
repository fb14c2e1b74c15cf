"""A tenant with its people, and clients that act as each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.choices import Role, TokenScope
from registry.models import Product, Site, Tenant, User
from registry.services.tokens import create_token
from tests.factories import (
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)


def fields_of(answer: Any) -> set[str]:
    """Return the fields that a refusal names."""
    assert answer["Content-Type"] == "application/problem+json"
    return {row["field"] for row in answer.json()["errors"]}


ActAs = Callable[..., APIClient]


def client_of(user: User, *scopes: str) -> APIClient:
    """Return a client with a token of this person."""
    _, key = create_token(user=user, name="test", scopes=scopes or TokenScope.values)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


@pytest.fixture
def acme(db: None) -> Tenant:
    """A tenant."""
    return TenantFactory(slug="acme")


@pytest.fixture
def globex(db: None) -> Tenant:
    """Another tenant."""
    return TenantFactory(slug="globex")


@pytest.fixture
def act_as(acme: Tenant) -> ActAs:
    """Return a function that makes a client of a new member of a tenant."""

    def make(role: str = Role.MANAGER, *scopes: str, of: Tenant = acme) -> APIClient:
        member = MembershipFactory(tenant=of, role=role)
        return client_of(member.user, *scopes)

    return make


@pytest.fixture
def manager(act_as: ActAs) -> APIClient:
    """A manager of acme."""
    return act_as(Role.MANAGER)


@pytest.fixture
def viewer(act_as: ActAs) -> APIClient:
    """A viewer of acme."""
    return act_as(Role.VIEWER)


@pytest.fixture
def stranger(act_as: ActAs, globex: Tenant) -> APIClient:
    """A manager of globex."""
    return act_as(Role.MANAGER, of=globex)


@pytest.fixture
def superuser(db: None) -> APIClient:
    """A platform superuser."""
    return client_of(UserFactory(is_superuser=True))


@pytest.fixture
def site(acme: Tenant) -> Site:
    """A site of acme."""
    return SiteFactory(tenant=acme, slug="shanghai-01")


@pytest.fixture
def product(acme: Tenant) -> Product:
    """A product of acme that declares one attribute."""
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
    """What a new device needs."""
    return {"uid": "dev-1", "site": site.slug, "product": product.slug}
