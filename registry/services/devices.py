"""Writes of devices: they are registered in sets and changed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from iotplatform.common.problems import BadInput
from registry.choices import Adapter, DeviceKind, Lifecycle
from registry.models import (
    Batch,
    Device,
    HardwareRevision,
    LifecycleMove,
    Product,
    Project,
    Site,
    Space,
    Tenant,
    User,
)
from registry.selectors.access import within
from registry.services.constraint_errors import refusal, save_checked
from registry.services.device_rules import device_errors

BATCH = 2_000  # rows of one INSERT: far below the 65,535 parameters of a statement
CHANGEABLE = frozenset(
    {
        *("name", "serial", "project", "site", "space", "product"),
        *("hardware_revision", "batch"),
        *("kind", "gateway", "adapter", "tags", "attributes"),
    }
)


@dataclass(frozen=True, kw_only=True)
class DeviceDraft:
    """A device to register; ``gateway`` is a uid, perhaps of the same set."""

    uid: str
    site: Site
    product: Product
    project: Project | None = None
    space: Space | None = None
    hardware_revision: HardwareRevision | None = None  # none: the batch's
    batch: Batch | None = None
    name: str = ""
    serial: str = ""
    kind: str = ""  # none: the product's
    gateway: str | None = None
    adapter: str = Adapter.MQTT
    lifecycle: str = Lifecycle.PROVISIONED
    tags: Sequence[str] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)


def register_device(
    *, tenant: Tenant, draft: DeviceDraft, actor: User | None = None
) -> Device:
    """Register one device. Raises BadInput naming every wrong field."""
    return register_devices(tenant=tenant, drafts=[draft], actor=actor)[0]


@transaction.atomic
def register_devices(
    *,
    tenant: Tenant,
    drafts: Sequence[DeviceDraft],
    actor: User | None = None,
    now: datetime | None = None,
) -> list[Device]:
    """Register devices of one tenant, all or none.

    Raises BadInput with all errors of all drafts. With several drafts, ``line`` (from
    1) of an error is the number of its draft.
    """
    gateways = _lock_gateways(tenant, {draft.gateway for draft in drafts})
    now = now or timezone.now()
    devices = [_build(tenant, draft, now=now) for draft in drafts]
    gateways |= {device.uid: device for device in devices}
    errors = []
    for line, (device, draft) in enumerate(zip(devices, drafts, strict=True), start=1):
        found = [*_join_gateway(device, draft, gateways), *device_errors(device)]
        errors += found if len(drafts) == 1 else [row | {"line": line} for row in found]
    if errors:
        raise BadInput(errors=errors)
    _insert(devices)
    _record_birth(devices, actor=actor, now=now)
    return devices


@transaction.atomic
def update_device(device: Device, *, changes: Mapping[str, Any]) -> Device:
    """Change a device, but not its uid, tenant or lifecycle.

    ``gateway`` is a device of the tenant or None. Raises BadInput naming every wrong
    field.
    """
    if unknown := changes.keys() - CHANGEABLE:
        names = sorted(unknown)
        raise BadInput(
            errors=[{"field": n, "message": "It cannot be changed."} for n in names]
        )
    row = lock_device(device, gateway=changes.get("gateway"))
    row.tenant = device.tenant  # with the caller's limit
    was_gateway = row.kind == DeviceKind.GATEWAY
    for name, value in _with_revision(changes).items():
        setattr(row, name, _unique(value) if name == "tags" else value)
    errors = device_errors(row)
    if was_gateway and row.kind != DeviceKind.GATEWAY and _has_children(row):
        errors.append({"field": "kind", "message": "It still has children."})
    if errors:
        raise BadInput(errors=errors)
    save_checked(row)
    return row


def lock_device(device: Device, *, gateway: Device | None = None) -> Device:
    """Lock a device and its new gateway inside a transaction.

    The gateway first, as at registration: all writers lock in one order.
    """
    if gateway is not None:
        _lock_gateways(device.tenant, {gateway.uid})
    rows = Device.objects.select_for_update(no_key=True, of=("self",))
    return rows.get(pk=device.pk)


def _build(tenant: Tenant, draft: DeviceDraft, *, now: datetime) -> Device:
    return Device(
        created_at=now,
        tenant=tenant,
        uid=draft.uid,
        site=draft.site,
        product=draft.product,
        project=draft.project or draft.site.project,
        space=draft.space,
        hardware_revision=draft.hardware_revision or _revision_of(draft.batch),
        batch=draft.batch,
        name=draft.name,
        serial=draft.serial,
        kind=draft.kind or draft.product.kind,
        adapter=draft.adapter,
        lifecycle=draft.lifecycle,
        tags=_unique(draft.tags),
        attributes=dict(draft.attributes),
    )


def _with_revision(changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the changes, with the hardware revision of a given batch."""
    batch = changes.get("batch")
    if batch is None or "hardware_revision" in changes:
        return changes
    return {**changes, "hardware_revision": batch.hardware_revision}


def _revision_of(batch: Batch | None) -> HardwareRevision | None:
    return batch.hardware_revision if batch else None


def _join_gateway(
    device: Device, draft: DeviceDraft, gateways: Mapping[str, Device]
) -> list[dict[str, Any]]:
    if draft.gateway is None:
        return []
    device.gateway = gateways.get(draft.gateway)
    if device.gateway is None:
        return [{"field": "gateway", "message": "There is no such device."}]
    return []


def _lock_gateways(tenant: Tenant, uids: Iterable[str | None]) -> dict[str, Device]:
    """Lock gateways until the transaction ends, so that they stay gateways."""
    wanted = {uid for uid in uids if uid}
    if not wanted:
        return {}
    rows = Device.objects.filter(within([tenant]), uid__in=wanted).order_by("pk")
    return {row.uid: row for row in rows.select_for_update(no_key=True)}


def _insert(devices: Sequence[Device]) -> None:
    """Insert all; children last, because they need their gateways' keys."""
    children = [row for row in devices if row.gateway is not None]
    others = [row for row in devices if row.gateway is None]
    try:
        with transaction.atomic():
            Device.objects.bulk_create(others, batch_size=BATCH)
            for child in children:
                child.gateway = child.gateway  # copies the key that it has now
            Device.objects.bulk_create(children, batch_size=BATCH)
    except IntegrityError as error:
        raise refusal(error) from error


def _record_birth(
    devices: Sequence[Device], *, actor: User | None, now: datetime
) -> None:
    moves = [
        LifecycleMove(
            tenant_id=device.tenant_id,
            device=device,
            at=now,
            moved_to=device.lifecycle,
            reason="registered",
            actor=actor,
        )
        for device in devices
    ]
    LifecycleMove.objects.bulk_create(moves, batch_size=BATCH)


def _has_children(device: Device) -> bool:
    return Device.objects.filter(gateway=device).exists()


def _unique(tags: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(tags))
