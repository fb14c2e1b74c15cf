"""Moves of a device's lifecycle: who, when, why, and what follows."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from iotplatform.common.problems import BadInput
from registry.exceptions import MoveRefused
from registry.lifecycle import CONNECTS, MOVES, Lifecycle
from registry.models import Device, LifecycleMove, User
from registry.services.credentials import revoke_credentials_of


@transaction.atomic
def move_lifecycle(
    *,
    device: Device,
    to: str,
    reason: str = "",
    actor: User | None = None,
    replaced_by: Device | None = None,
) -> LifecycleMove:
    """Move a device; where it may no longer connect, its credentials are revoked.

    Raises MoveRefused (with the moves that are allowed) and BadInput.
    """
    target = _checked_target(device, to, replaced_by)
    row = Device.objects.select_for_update(no_key=True, of=("self",)).get(pk=device.pk)
    current = Lifecycle(row.lifecycle)
    if target not in MOVES[current]:
        raise MoveRefused(
            current.value, target.value, [m.value for m in MOVES[current]]
        )
    row.lifecycle = target
    row.save(update_fields=["lifecycle", "updated_at"])
    if target not in CONNECTS:
        revoke_credentials_of([row.pk])
    device.lifecycle, device.updated_at = row.lifecycle, row.updated_at
    return LifecycleMove.objects.create(
        tenant_id=row.tenant_id,
        device=row,
        at=timezone.now(),
        moved_from=current,
        moved_to=target,
        reason=reason,
        actor=actor,
        replaced_by=replaced_by,
    )


def _checked_target(device: Device, to: str, replaced_by: Device | None) -> Lifecycle:
    if to not in Lifecycle.values:
        raise BadInput(to=f"One of: {', '.join(Lifecycle.values)}.")
    target = Lifecycle(to)
    if target != Lifecycle.REPLACED:
        if replaced_by is not None:
            raise BadInput(replaced_by="Only a device that becomes replaced names one.")
        return target
    if replaced_by is None:
        raise BadInput(replaced_by="Name the device that stands in its place.")
    if replaced_by.tenant_id != device.tenant_id:
        raise BadInput(replaced_by="There is no such device.")
    if replaced_by.pk == device.pk:
        raise BadInput(replaced_by="A device cannot replace itself.")
    if replaced_by.lifecycle not in CONNECTS:
        raise BadInput(
            replaced_by=f"The device {replaced_by.uid} is {replaced_by.lifecycle}."
        )
    return target
