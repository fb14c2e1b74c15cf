"""Reads of devices."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery

from iotplatform.common.bulk_sql import array_of
from iotplatform.common.ids import UID
from registry.choices import Lifecycle
from registry.exceptions import NoSuchObject
from registry.models import Device, LifecycleMove, Tenant
from registry.selectors.access import attach_caller_tenant, within

NAMES = (
    *("tenant", "project", "site", "space", "product", "hardware_revision", "batch"),
    "gateway",
)

MOST_FOUND = 500  # devices with one prefix; for fewer, people type a longer one

# Runs for every batch of messages; the ORM's IN with hundreds takes twice as long.
_INGEST_DEVICES = """
    SELECT id, tenant_id, uid, kind, gateway_id, lifecycle, adapter, product_id
    FROM registry_device WHERE uid = ANY(%s::text[]) ORDER BY id
"""
_INGEST_PRODUCTS = """
    SELECT id, heartbeat_seconds, metrics::text, takes_commands
    FROM registry_product WHERE id = ANY(%s::bigint[])
"""


class IngestDevice(msgspec.Struct):
    """What the adapters need to know of a device."""

    id: int
    tenant_id: int
    uid: str
    kind: str
    gateway_id: int | None
    lifecycle: str
    adapter: str
    product_id: int
    heartbeat_seconds: int
    metrics: list[dict[str, Any]]
    takes_commands: bool


def list_devices(*, tenants: Sequence[Tenant]) -> QuerySet[Device]:
    """Return the devices of these tenants with the objects that answers name."""
    rows = Device.objects.filter(within(tenants)).select_related(*NAMES)
    return rows.annotate(
        replaces_uid=_uid_of("device", tenants, replaced_by=OuterRef("pk")),
        replaced_by_uid=_uid_of("replaced_by", tenants, device=OuterRef("pk")),
    )


def get_device(*, tenants: Sequence[Tenant], uid: str) -> Device:
    """Return a device with the objects that answers name; raises NoSuchObject."""
    if UID.fullmatch(uid):
        found = attach_caller_tenant(
            list_devices(tenants=tenants).filter(uid=uid).first(), tenants
        )
        if found is not None:
            return found
    raise NoSuchObject("device")


def list_children(gateway: Device) -> QuerySet[Device]:
    """Return the children of a gateway that its caller may access, by uid."""
    rows = Device.objects.filter(within([gateway.tenant]), gateway=gateway)
    return rows.order_by("uid")


def list_moves(device: Device) -> QuerySet[LifecycleMove]:
    """Return a device's lifecycle moves under its current owner, newest first."""
    rows = LifecycleMove.objects.filter(device=device, tenant=device.tenant_id)
    return rows.select_related("actor", "replaced_by").order_by("-at", "-pk")


def find_ids_by_prefix_across_tenants(text: str) -> list[int]:
    """Return the ids of the first devices whose uid has this prefix."""
    rows = Device.objects.filter(uid__startswith=text).order_by("uid")
    return list(rows.values_list("pk", flat=True)[:MOST_FOUND])


def get_replacement_units(
    device: Device, *, tenants: Sequence[Tenant]
) -> tuple[Device | None, Device | None]:
    """Return the unit that a device replaced and the one that replaced it.

    None for a unit that the caller may not access.
    """
    moves = LifecycleMove.objects.filter(moved_to=Lifecycle.REPLACED)
    moves = moves.select_related("device", "replaced_by").order_by("-at", "-pk")
    before = moves.filter(within(tenants, device="device"), replaced_by=device).first()
    after = moves.filter(within(tenants, device="replaced_by"), device=device).first()
    return (
        before.device if before else None,
        after.replaced_by if after else None,
    )


def list_child_ids_across_tenants(
    gateway_ids: Collection[int],
) -> dict[int, list[int]]:
    """Return the children of each of these gateways that has some."""
    if not gateway_ids:
        return {}
    rows = Device.objects.filter(gateway__in=gateway_ids).order_by("pk")
    found: dict[int, list[int]] = {}
    for gateway_id, child_id in rows.values_list("gateway_id", "pk"):
        found.setdefault(gateway_id, []).append(child_id)
    return found


def get_ingest_devices_across_tenants(uids: Collection[str]) -> dict[str, IngestDevice]:
    """Return the known devices by uid, in two queries for any number of uids."""
    with connection.cursor() as cursor:
        cursor.execute(_INGEST_DEVICES, [array_of(list(uids))])
        rows = cursor.fetchall()
        # Declared metrics are long: one copy per product, not per device.
        cursor.execute(_INGEST_PRODUCTS, [array_of(list({row[-1] for row in rows}))])
        products = {
            product_id: (seconds, msgspec.json.decode(metrics), takes_commands)
            for product_id, seconds, metrics, takes_commands in cursor.fetchall()
        }
    return {row[2]: IngestDevice(*(*row, *products[row[-1]])) for row in rows}


def _uid_of(named: str, tenants: Sequence[Tenant], **which: OuterRef) -> Subquery:
    """Return the uid of the other unit of a replacement, if it is accessible."""
    moves = LifecycleMove.objects.filter(
        within(tenants, device=named), moved_to=Lifecycle.REPLACED, **which
    )
    return Subquery(moves.order_by("-at", "-pk").values(f"{named}__uid")[:1])
