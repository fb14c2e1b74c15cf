"""Two tenants with a small indexed fleet, and signed-in people."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from commands.models import Command
from commands.services.commands import request_command
from fleet.services.indexing import Indexer
from registry.choices import Role
from registry.models import Device, Tenant, User
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)
from tests.fleet.rows import make_presence, make_twin


@pytest.fixture(autouse=True)
def _plain_static_files(settings: Any) -> None:
    """Use no static manifest: collectstatic does not run before tests."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
    }


@pytest.fixture
def indexer(tmp_path: Path, settings: Any, db: None) -> Iterator[Indexer]:
    """A new index for this test."""
    settings.INDEX_DIR = tmp_path / "index"
    indexer = Indexer(settings.INDEX_DIR)
    indexer.open()
    yield indexer
    indexer.close()


@dataclass
class Fleet:
    """A tenant, its devices, and their index."""

    tenant: Tenant
    indexer: Indexer
    devices: list[Device] = field(default_factory=list)

    def add(self, uid: str, **values: Any) -> Device:
        """Add an active device of the same product and site."""
        first = self.devices[0] if self.devices else None
        same = {"site": first.site, "product": first.product} if first else {}
        device: Device = DeviceFactory.create(
            uid=uid, tenant=self.tenant, **(same | values)
        )
        self.devices.append(device)
        return device

    def settle(self) -> None:
        """Wait until the index is up to date."""
        self.indexer.drain()

    def client(self, role: Role | None = Role.OPERATOR) -> Client:
        """A browser of a person of this tenant; None: nobody is signed in."""
        client = Client()
        if role is not None:
            client.force_login(self.person(role))
        return client

    def person(self, role: Role) -> User:
        """A new member of this tenant."""
        member = MembershipFactory.create(tenant=self.tenant, role=role)
        user: User = member.user
        return user

    def command(self, device: Device, name: str = "reboot", **params: Any) -> Command:
        """Request a command."""
        command, _ = request_command(
            device=device,
            name=name,
            params=params,
            policy=None,
            idempotency_key=None,
            actor=None,
        )
        return command


@pytest.fixture
def acme(indexer: Indexer) -> Fleet:
    """Four devices of acme: three unstable in shanghai-01, one stable elsewhere."""
    tenant = TenantFactory.create(slug="acme")
    fleet = Fleet(tenant, indexer)
    site = SiteFactory.create(tenant=tenant, slug="shanghai-01")
    product = ProductFactory.create(tenant=tenant, slug="sensor-s1")
    for number, connectivity in enumerate(("offline", "online", "online")):
        device = fleet.add(f"sh-{number}", site=site, product=product)
        cause = "last_will" if connectivity == "offline" else ""
        make_presence(device, connectivity=connectivity, cause=cause, disconnects_72h=7)
        make_twin(device, firmware="1.4.2", reported={"interval": 10})
    other_site = SiteFactory.create(tenant=tenant, slug="munich-07", region="Europe")
    device = fleet.add("mu-0", site=other_site)
    make_presence(device)
    make_twin(device, firmware="1.3.9")
    fleet.settle()
    return fleet


@pytest.fixture
def globex(indexer: Indexer) -> Fleet:
    """Another tenant with one device."""
    fleet = Fleet(TenantFactory.create(slug="globex"), indexer)
    make_presence(fleet.add("gx-0"))
    fleet.settle()
    return fleet


@pytest.fixture
def admin(db: None) -> Client:
    """A browser of a superuser."""
    client = Client()
    client.force_login(
        UserFactory.create(username="admin", is_superuser=True, is_staff=True)
    )
    return client
