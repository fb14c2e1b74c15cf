"""Reads of firmware releases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db.models import QuerySet

from iotplatform.common import bulk_sql
from iotplatform.common.ids import parse_uuid
from registry.exceptions import NoSuchObject
from registry.models import (
    Device,
    FirmwareHardware,
    FirmwareProduct,
    FirmwareRelease,
    Tenant,
)

_BYTES = """
    SELECT coalesce(sum(r.size), 0)
    FROM registry_device d
    JOIN registry_firmwareproduct p ON p.product_id = d.product_id
    JOIN registry_firmwarerelease r ON r.id = p.release_id
    WHERE p.tenant_id = %s AND p.version = %s AND d.id = ANY(%s::bigint[])
"""


def list_releases(*, tenants: Sequence[Tenant]) -> QuerySet[FirmwareRelease]:
    """Return the firmware releases of these tenants, newest first."""
    rows = FirmwareRelease.objects.filter(tenant__in=tenants).order_by("-pk")
    rows = rows.select_related("tenant", "created_by")
    return rows.prefetch_related("products", "hardware_revisions")


def find_release(*, tenant: Tenant, name: str) -> FirmwareRelease | None:
    """Return the tenant's release with this id, else its newest with this version."""
    rows = FirmwareRelease.objects.filter(tenant=tenant)
    wanted = parse_uuid(name)
    if wanted is not None:
        return rows.filter(public_id=wanted).first()
    return rows.filter(version=name.replace("\0", "")).order_by("-pk").first()


def get_release_across_tenants(public_id: UUID) -> FirmwareRelease:
    """Return the release that a device's link names; raises NoSuchObject."""
    row = FirmwareRelease.objects.filter(public_id=public_id).first()
    if row is None:
        raise NoSuchObject("firmware release")
    return row


def find_releases_for_devices_across_tenants(
    wanted: Collection[tuple[int, str]],
) -> dict[tuple[int, str], FirmwareRelease]:
    """Return the release of each device and version, where there is one for it.

    A release is for a device's product, and for its hardware revision or for all.
    """
    if not wanted:
        return {}
    devices = {
        device_id: (product_id, revision_id)
        for device_id, product_id, revision_id in Device.objects.filter(
            pk__in={device_id for device_id, _ in wanted}
        ).values_list("pk", "product_id", "hardware_revision_id")
    }
    offered = FirmwareProduct.objects.filter(
        product_id__in={product_id for product_id, _ in devices.values()},
        version__in={version for _, version in wanted},
    ).select_related("release")
    releases = {(row.product_id, row.version): row.release for row in offered}
    revisions: dict[int, set[int]] = {}
    limited = FirmwareHardware.objects.filter(release__in=releases.values())
    for release_id, revision_id in limited.values_list(
        "release_id", "hardware_revision_id"
    ):
        revisions.setdefault(release_id, set()).add(revision_id)
    found = {}
    for device_id, version in wanted:
        product_id, own_revision = devices.get(device_id, (None, None))
        release = releases.get((product_id, version)) if product_id else None
        if release is not None and (
            release.pk not in revisions or own_revision in revisions[release.pk]
        ):
            found[device_id, version] = release
    return found


def hardware_of_version(tenant: Tenant, version: str) -> dict[int, frozenset[int]]:
    """Return the products that have a release of this version, with its revisions.

    No revisions: the release is for every revision of the product.
    """
    offered = FirmwareProduct.objects.filter(tenant=tenant, version=version)
    releases = dict(offered.values_list("product_id", "release_id"))
    revisions: dict[int, set[int]] = {pk: set() for pk in releases.values()}
    limited = FirmwareHardware.objects.filter(release__in=revisions)
    for release_id, revision_id in limited.values_list(
        "release_id", "hardware_revision_id"
    ):
        revisions[release_id].add(revision_id)
    return {product: frozenset(revisions[pk]) for product, pk in releases.items()}


def bytes_of_version(tenant: Tenant, version: str, device_ids: Collection[int]) -> int:
    """Return how many bytes these devices load together for this version."""
    values = [tenant.pk, version, list(device_ids)]
    [(total,)] = bulk_sql.fetch(_BYTES, values)
    return int(total)


def get_release(*, tenants: Sequence[Tenant], public_id: UUID) -> FirmwareRelease:
    """Return a firmware release; raises NoSuchObject."""
    row = list_releases(tenants=tenants).filter(public_id=public_id).first()
    if row is None:
        raise NoSuchObject("firmware release")
    return row
