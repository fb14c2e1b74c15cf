"""Replacement in the registry: the successor gets the old unit's place."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Q, Value, When
from django.utils import timezone

from iotplatform.common.problems import BadInput, Conflict
from registry.choices import CONNECTS, DeviceKind, Lifecycle
from registry.models import Device, LifecycleMove, Product, User
from registry.services.constraint_errors import save_checked
from registry.services.device_rules import attribute_errors, device_errors
from registry.services.lifecycle import check_move, record_moves

IN_SERVICE = frozenset({Lifecycle.ACTIVE, Lifecycle.IN_REPAIR})


@dataclass(frozen=True)
class Replaced:
    """Both units, locked until the transaction ends, and the recorded move."""

    old: Device
    successor: Device
    move: LifecycleMove


def replace_in_registry(
    *, device: Device, successor: Device, reason: str, actor: User | None
) -> Replaced:
    """Put a successor in a device's place, inside the caller's transaction.

    It gets site, space, project, gateway and tags; attributes that it lacks and that
    its product allows; the name if it has none; and a gateway's children. It becomes
    active if it was provisioned and the old one was in service. The old one keeps its
    place, as its change log says, and its credentials are revoked. Raises MoveRefused,
    Conflict if the place changed meanwhile, and BadInput.
    """
    if successor.pk == device.pk:
        raise BadInput(replaced_by="A device cannot replace itself.")
    if successor.tenant_id != device.tenant_id:
        raise BadInput(replaced_by="There is no such device.")
    locked = lock_devices({device.pk, successor.pk, device.gateway_id})
    old, new = locked[device.pk], locked[successor.pk]
    if old.gateway_id != device.gateway_id or old.tenant_id != new.tenant_id:
        raise Conflict("The device was changed meanwhile. Check it, then try again.")
    check_move(old, Lifecycle.REPLACED)
    _check_successor(old, new)
    _take_over(old, new)
    (move,) = record_moves(
        [old], Lifecycle.REPLACED, reason=reason, actor=actor, replaced_by=new
    )
    was = Lifecycle(move.moved_from)
    if was in IN_SERVICE and new.lifecycle == Lifecycle.PROVISIONED:
        why = f"in the place of {old.uid}" + (f": {reason}" if reason else "")
        record_moves([new], Lifecycle.ACTIVE, reason=why, actor=actor)
    return Replaced(old, new, move)


def lock_devices(ids: Collection[int | None]) -> dict[int, Device]:
    """Lock devices in the common order: gateways first, as at registration; by key."""
    gateways_first = Case(When(kind=DeviceKind.GATEWAY, then=Value(0)), default=1)
    rows = Device.objects.filter(pk__in=[pk for pk in ids if pk is not None])
    in_order = rows.order_by(gateways_first, "pk").select_for_update(no_key=True)
    locked = list(in_order.values_list("pk", flat=True))
    # Read after the lock: a join in its statement would be of the time before.
    read = Device.objects.select_related(
        *("tenant", "site", "space", "project", "product", "gateway"),
        *("hardware_revision", "batch"),
    )
    return read.in_bulk(locked)


def _check_successor(old: Device, new: Device) -> None:
    if new.lifecycle not in CONNECTS:
        raise BadInput(replaced_by=f"The device {new.uid} is {new.lifecycle}.")
    if DeviceKind.GATEWAY in (old.kind, new.kind) and old.kind != new.kind:
        raise BadInput(
            replaced_by=f"A {new.kind} cannot replace a {old.kind}: a gateway, and"
            " only a gateway, replaces a gateway."
        )
    before = (
        LifecycleMove.objects.filter(
            Q(replaced_by=new) | Q(device=new, moved_to=Lifecycle.PROVISIONED)
        )
        .select_related("device")
        .order_by("-at", "-pk")
        .first()
    )
    # Since it was registered or refurbished; after that it may replace another.
    if before is not None and before.replaced_by_id == new.pk:
        raise BadInput(
            replaced_by=f"The device {new.uid} already replaces {before.device.uid}."
        )


def _take_over(old: Device, new: Device) -> None:
    new.site, new.space, new.project = old.site, old.space, old.project
    new.kind, new.gateway = old.kind, old.gateway
    new.tags = list(dict.fromkeys([*old.tags, *new.tags]))
    new.name = new.name or old.name
    new.attributes = _attributes(new.product, old.attributes, new.attributes)
    if errors := device_errors(new):
        reasons = "; ".join(f"{row['field']}: {row['message']}" for row in errors)
        raise BadInput(replaced_by=f"{new.uid} cannot replace it: {reasons}")
    save_checked(new)
    if old.kind == DeviceKind.GATEWAY:
        children = Device.objects.filter(gateway=old)
        locked = children.order_by("pk").select_for_update(no_key=True)
        ids = list(locked.values_list("pk", flat=True))
        children.filter(pk__in=ids).update(gateway=new, updated_at=timezone.now())


def _attributes(
    product: Product, theirs: dict[str, Any], own: dict[str, Any]
) -> dict[str, Any]:
    """Return its own attributes, and those of the old unit that its product allows.

    Its own come first: they are facts about this unit, such as its battery's revision.
    """
    taken = dict(own)
    known = len(attribute_errors(product, own))
    for name, value in theirs.items():
        candidate = {name: value, **taken}
        wrong = len(attribute_errors(product, candidate))
        if wrong <= known:
            taken, known = candidate, wrong
    return taken
