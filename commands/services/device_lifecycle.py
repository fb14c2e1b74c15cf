"""Moves of a device's lifecycle for API and admin; a replacement is one of them."""

from __future__ import annotations

from commands.services.device_replacement import replace_device
from iotplatform.common.problems import BadInput
from registry.choices import Lifecycle
from registry.models import Device, LifecycleMove, User
from registry.services.lifecycle import move_lifecycle


def move_device(
    *,
    device: Device,
    to: str,
    reason: str = "",
    actor: User | None = None,
    replaced_by: Device | None = None,
) -> LifecycleMove:
    """Move a device's lifecycle; a successor takes over from a replaced device.

    Raises MoveRefused (with the moves that are allowed), Conflict and BadInput.
    """
    if to == Lifecycle.REPLACED and replaced_by is not None:
        return replace_device(
            device=device, successor=replaced_by, reason=reason, actor=actor
        )
    if replaced_by is not None and to in Lifecycle.values:
        raise BadInput(replaced_by="Only for the move to 'replaced'.")
    return move_lifecycle(device=device, to=to, reason=reason, actor=actor)
