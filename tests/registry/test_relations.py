"""Wrong relations between rows: the database refuses them, without any service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from registry.models import (
    Batch,
    Device,
    EnrolmentKey,
    HardwareRevision,
    Site,
    Space,
    Tenant,
)
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    SpaceFactory,
)


@pytest.fixture
def device(acme: Tenant) -> Device:
    """A device with everything that it can refer to except a gateway."""
    site = SiteFactory(tenant=acme, project=ProjectFactory(tenant=acme))
    revision = HardwareRevisionFactory(tenant=acme)
    return DeviceFactory(
        tenant=acme,
        site=site,
        project=site.project,
        space=SpaceFactory(tenant=acme, site=site),
        product=revision.product,
        hardware_revision=revision,
        batch=BatchFactory(tenant=acme, hardware_revision=revision),
    )


# The wrong reference and its tenant: another one, or the device's own but with another
# site, product or revision.
LIES: list[tuple[str, Callable[[Tenant], Any]]] = [
    ("project", lambda tenant: ProjectFactory(tenant=tenant)),
    ("site", lambda tenant: SiteFactory(tenant=tenant)),
    ("product", lambda tenant: ProductFactory(tenant=tenant)),
    ("space", lambda tenant: SpaceFactory(tenant=tenant)),
    ("hardware_revision", lambda tenant: HardwareRevisionFactory(tenant=tenant)),
    ("batch", lambda tenant: BatchFactory(tenant=tenant)),
]


@pytest.mark.parametrize(("name", "make"), LIES, ids=[row[0] for row in LIES])
def test_a_device_cannot_refer_to_another_tenants_objects(
    device: Device, globex: Tenant, name: str, make: Callable[[Tenant], Any]
) -> None:
    theirs = make(globex)

    with refused(f"registry_device_{name}_is_its_own"):
        Device.objects.filter(pk=device.pk).update(**{name: theirs})


@pytest.mark.parametrize(("name", "make"), LIES[3:], ids=[row[0] for row in LIES[3:]])
def test_space_revision_and_batch_must_fit_the_device(
    device: Device, acme: Tenant, name: str, make: Callable[[Tenant], Any]
) -> None:
    other = make(acme)

    with refused(f"registry_device_{name}_is_its_own"):
        Device.objects.filter(pk=device.pk).update(**{name: other})


def test_bulk_creation_is_checked_like_an_update(
    device: Device, globex: Tenant
) -> None:
    made = Device(
        tenant=globex,
        uid="new",
        site=device.site,
        product=ProductFactory(tenant=globex),
    )

    with refused("registry_device_site_is_its_own"):
        Device.objects.bulk_create([made])


def test_an_object_that_devices_refer_to_cannot_change_its_tenant(
    device: Device, globex: Tenant
) -> None:
    rows: list[Any] = [
        *(device.site, device.project, device.product, device.space),
        *(device.hardware_revision, device.batch),
    ]
    for row in rows:
        with refused("_is_its_own"):
            type(row).objects.filter(pk=row.pk).update(tenant=globex)


def test_parts_must_have_the_tenant_of_their_whole(
    acme: Tenant, globex: Tenant
) -> None:
    site, product = SiteFactory(tenant=acme), ProductFactory(tenant=acme)
    revision = HardwareRevisionFactory(tenant=acme, product=product)
    space = SpaceFactory(tenant=acme, site=site)
    lies: list[Any] = [
        Site(tenant=globex, slug="x", project=ProjectFactory(tenant=acme)),
        Space(tenant=globex, slug="x", site=site),
        Space(tenant=acme, slug="x", site=SiteFactory(tenant=acme), parent=space),
        HardwareRevision(tenant=globex, slug="x", product=product),
        Batch(tenant=globex, slug="x", hardware_revision=revision),
        EnrolmentKey(
            tenant=globex,
            product=ProductFactory(tenant=globex),
            site=SiteFactory(tenant=globex),
            batch=BatchFactory(tenant=acme, hardware_revision=revision),
            max_devices=1,
            expires_at=timezone.now(),
        ),
    ]
    for row in lies:
        with refused("_is_its_own"):
            row.save()


def test_a_childs_gateway_is_a_gateway_of_its_tenant(
    device: Device, acme: Tenant, globex: Tenant
) -> None:
    plain = DeviceFactory(tenant=acme)
    theirs = DeviceFactory(tenant=globex, kind="gateway")

    for gateway in (plain, theirs):
        with refused("registry_device_gateway_is_its_own"):
            rows = Device.objects.filter(pk=device.pk)
            rows.update(kind="child", gateway=gateway)


def test_a_gateway_with_children_cannot_change_kind_or_tenant(
    acme: Tenant, globex: Tenant
) -> None:
    gateway = DeviceFactory(tenant=acme, kind="gateway")
    DeviceFactory(tenant=acme, kind="child", gateway=gateway)
    elsewhere = {
        "tenant": globex,
        "site": SiteFactory(tenant=globex),
        "product": ProductFactory(tenant=globex),
    }

    for change in ({"kind": "standalone"}, elsewhere):
        with refused("registry_device_gateway_is_its_own"):
            Device.objects.filter(pk=gateway.pk).update(**change)
    with refused("registry_device_gateway_is_its_own"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM registry_device WHERE id = %s", [gateway.pk])


def test_a_gateway_and_its_children_can_move_together(
    acme: Tenant, globex: Tenant
) -> None:
    gateway = DeviceFactory(tenant=acme, kind="gateway")
    child = DeviceFactory(tenant=acme, kind="child", gateway=gateway)

    Device.objects.filter(pk__in=[gateway.pk, child.pk]).update(
        tenant=globex,
        site=SiteFactory(tenant=globex),
        product=ProductFactory(tenant=globex),
    )

    child.refresh_from_db()
    assert (child.tenant, child.gateway) == (globex, gateway)


class refused:
    """Expect a refusal by a constraint whose name contains this."""

    def __init__(self, constraint: str) -> None:
        self.raises = pytest.raises(IntegrityError, match=constraint)
        self.atomic = transaction.atomic()

    def __enter__(self) -> None:
        self.raises.__enter__()
        self.atomic.__enter__()

    def __exit__(self, *error: Any) -> bool:
        self.atomic.__exit__(*error)
        return bool(self.raises.__exit__(*error))
