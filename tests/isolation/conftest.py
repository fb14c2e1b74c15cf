"""Two committed tenants, and connections that act as the database roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.db import connection

from registry.choices import Role, TokenScope
from registry.models import Membership
from registry.services.tokens import create_token
from tests.emptying import empty_database
from tests.factories import DeviceFactory, MembershipFactory, TenantFactory
from tests.isolation.rows import Rows

Connect = Callable[..., AbstractContextManager[psycopg.Connection[Any]]]


@dataclass
class Two:
    """Two tenants with a row in every table, as other connections see them too."""

    ours: Rows
    theirs: Rows
    # Of our tenant: a member of each role, and a key of each. Of the other: an admin's.
    members: dict[str, Membership]
    keys: dict[str, str]
    their_key: str


@pytest.fixture(scope="module")
def two(django_db_setup: None, django_db_blocker: Any) -> Iterator[Two]:
    """Make them once for a module; changes of its tests stay."""
    with django_db_blocker.unblock():
        ours, theirs = Rows(TenantFactory()), Rows(TenantFactory())
        for rows in (ours, theirs):
            rows.make_all()
        DeviceFactory.create_batch(4, tenant=ours.tenant)
        members: dict[str, Membership] = {
            role: MembershipFactory.create(tenant=ours.tenant, role=role)
            for role in Role.values
        }
        keys = {role: _key_of(member) for role, member in members.items()}
        their_key = _key_of(MembershipFactory(tenant=theirs.tenant, role=Role.ADMIN))
        yield Two(ours, theirs, members, keys, their_key)
        empty_database()


def _key_of(member: Membership) -> str:
    return create_token(user=member.user, name="all", scopes=TokenScope.values)[1]


@pytest.fixture
def connect(db: None) -> Connect:
    """Open a connection besides Django's: ``connect(role, tenants="1")``."""

    @contextmanager
    def opened(
        role: str = "iot_web", **settings: str
    ) -> Iterator[psycopg.Connection[Any]]:
        given = connection.get_connection_params()
        given = {
            k: v for k, v in given.items() if k not in ("context", "cursor_factory")
        }
        given["options"] = f"-c role={role}"
        with psycopg.connect(**given, autocommit=True) as found:
            for name, value in settings.items():
                found.execute(
                    "SELECT set_config(%s, %s, false)", [f"iot.{name}", value]
                )
            yield found

    return opened
