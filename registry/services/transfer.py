"""The transfer of a device to another tenant, in the registry."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone

from iotplatform.common.counts import counted
from iotplatform.common.problems import BadInput, Conflict
from registry.exceptions import InUse
from registry.models import Device, LifecycleMove, Product, Project, Site, Tenant, User
from registry.services.constraint_errors import save_checked
from registry.services.credentials import revoke_credentials_of
from registry.services.device_rules import attribute_errors, device_errors
from registry.services.replacement import lock_devices


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The tenant that gets a device, and its place and product there."""

    tenant: Tenant
    site: Site
    product: Product
    project: Project | None = None
    gateway: Device | None = None


def move_to_tenant(
    *, device: Device, to: Destination, reason: str, actor: User | None
) -> Device:
    """Move a device to another tenant, inside the caller's transaction.

    It loses its name and tags, which belong to the old owner, its space, revision and
    batch, which are rows of the old owner, and attributes that the new product does not
    know. Every credential is revoked. Each owner's change log records its own side.
    Raises BadInput naming the field, InUse for a gateway that still has children, and
    Conflict if the device was transferred meanwhile.
    """
    if to.tenant.pk == device.tenant_id:
        raise BadInput(tenant="It already belongs to this tenant.")
    locked = lock_devices({device.pk, to.gateway.pk if to.gateway else None})
    row = locked[device.pk]
    if row.tenant_id != device.tenant_id:
        raise Conflict("Meanwhile the device was transferred to another tenant.")
    if children := Device.objects.filter(gateway=row).count():
        raise InUse(
            f"{row.uid} is the gateway of {counted(children, 'device')}: move them to"
            " another gateway, or out of service, before the transfer."
        )
    left = row.tenant
    row.tenant, row.site, row.product = to.tenant, to.site, to.product
    row.project = to.project or to.site.project
    row.gateway = locked[to.gateway.pk] if to.gateway else None
    row.space = row.hardware_revision = row.batch = None
    row.name, row.tags = "", []
    row.attributes = {
        name: value
        for name, value in row.attributes.items()
        if not _is_refused(to.product, name, value)
    }
    if errors := device_errors(row):
        raise BadInput(errors=errors)
    save_checked(row)
    revoke_credentials_of([row.pk])
    _record(row, left, reason=reason, actor=actor)
    return row


def _is_refused(product: Product, name: str, value: object) -> bool:
    """Whether the product's schema refuses this attribute, apart from missing ones."""
    alone = len(attribute_errors(product, {name: value}))
    return alone > len(attribute_errors(product, {}))


def _record(row: Device, left: Tenant, *, reason: str, actor: User | None) -> None:
    why = f": {reason}" if reason else ""
    now = timezone.now()
    LifecycleMove.objects.bulk_create(
        LifecycleMove(
            tenant=tenant,
            device=row,
            at=now,
            moved_from=moved_from,
            moved_to=row.lifecycle,
            reason=f"{words}{why}",
            actor=actor,
        )
        for tenant, moved_from, words in (
            (left, row.lifecycle, "transferred to another tenant"),
            (row.tenant, "", "taken over from another tenant"),
        )
    )
