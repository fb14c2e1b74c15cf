"""Spaces, hardware revisions and batches in the query language."""

from __future__ import annotations

import pytest

from fleet.services.index_check import verify_index
from fleet.services.indexing import Indexer
from registry.models import Space, Tenant
from registry.services.spaces import update_space
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    SiteFactory,
    SpaceFactory,
    TenantFactory,
)
from tests.fleet.rows import find, uids_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme() -> Tenant:
    """A tenant with a device on each level of its spaces."""
    tenant: Tenant = TenantFactory.create()
    site = SiteFactory.create(tenant=tenant)
    parent = None
    for slug in ("hq", "floor-2", "room-7"):
        parent = SpaceFactory.create(tenant=tenant, site=site, slug=slug, parent=parent)
        DeviceFactory.create(tenant=tenant, site=site, space=parent, uid=f"in-{slug}")
    SpaceFactory.create(tenant=tenant, site=site, slug="annex")
    DeviceFactory.create(tenant=tenant, site=site, uid="outside")
    return tenant


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('space:"hq/floor-2"', ["in-floor-2", "in-room-7"]),
        ('space:"HQ/floor-2/"', ["in-floor-2", "in-room-7"]),
        ("space:hq", ["in-floor-2", "in-hq", "in-room-7"]),
        ('space:"floor-2"', []),
        ('space:"hq/floor"', []),
        ("space:*room-7", ["in-room-7"]),
        ("space:*", ["in-floor-2", "in-hq", "in-room-7"]),
        ("NOT space:*", ["outside"]),
    ],
)
def test_a_space_finds_the_devices_in_it_and_below_it(
    acme: Tenant, indexer: Indexer, query: str, expected: list[str]
) -> None:
    indexer.drain()

    assert sorted(uids_of(acme, query)) == expected


def test_a_moved_space_is_found_where_it_is_now(acme: Tenant, indexer: Indexer) -> None:
    indexer.drain()
    spaces = {row.slug: row for row in Space.objects.all()}

    update_space(spaces["floor-2"], parent=spaces["annex"])
    update_space(spaces["annex"], slug="south")
    indexer.drain()

    assert sorted(uids_of(acme, "space:south")) == ["in-floor-2", "in-room-7"]
    assert uids_of(acme, "space:hq") == ["in-hq"]
    assert verify_index(settle_seconds=0).device_ids == []


def test_spaces_are_counted_and_sorted_by_their_paths(
    acme: Tenant, indexer: Indexer
) -> None:
    indexer.drain()

    found = find(acme, "space:*", sort="space", facets=["space"])

    assert [row["uid"] for row in found.results] == ["in-hq", "in-floor-2", "in-room-7"]
    assert found.facets["space"][0] == {"value": "hq", "count": 3}


def test_devices_are_found_by_hardware_revision_and_batch(indexer: Indexer) -> None:
    revision = HardwareRevisionFactory.create(slug="rev-b")
    batch = BatchFactory.create(
        tenant=revision.tenant, hardware_revision=revision, slug="2026-07"
    )
    DeviceFactory.create(
        tenant=revision.tenant,
        product=revision.product,
        hardware_revision=revision,
        batch=batch,
        uid="built",
    )
    indexer.drain()

    assert uids_of(revision.tenant, "hardware_revision:rev-b") == ["built"]
    assert uids_of(revision.tenant, 'batch:"2026-07"') == ["built"]
