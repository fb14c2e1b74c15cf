"""Lifecycle moves in the registry: who, when, why, and their consequences.

Entry points call ``commands.services.device_lifecycle``, which also handles the
commands of the device.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from iotplatform.common.problems import BadInput
from registry.choices import CONNECTS, MOVES, Lifecycle
from registry.exceptions import MoveRefused
from registry.models import Device, LifecycleMove, Tenant, User
from registry.selectors.access import within
from registry.services.credentials import revoke_credentials_of

BATCH = 2_000  # rows of one INSERT: far below the 65,535 parameters of a statement


@dataclass(frozen=True)
class Moved:
    """The devices of a set that moved, and why each of the others did not."""

    devices: list[Device] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # reasons by uid


@transaction.atomic
def move_lifecycle(
    *, device: Device, to: str, reason: str = "", actor: User | None = None
) -> LifecycleMove:
    """Move a device; revoke its credentials if it may no longer connect.

    Raises MoveRefused (with the allowed moves) and BadInput.
    """
    target = checked_target(to)
    row = Device.objects.select_for_update(no_key=True, of=("self",)).get(pk=device.pk)
    check_move(row, target)
    (move,) = record_moves([row], target, reason=reason, actor=actor)
    device.lifecycle, device.updated_at = row.lifecycle, row.updated_at
    return move


@transaction.atomic
def move_devices(
    *,
    tenants: Collection[Tenant],
    device_ids: Collection[int],
    to: str,
    reason: str = "",
    actor: User | None = None,
) -> Moved:
    """Move a set of these tenants' devices in a few statements, whatever its size.

    Devices whose lifecycle does not allow it stay and are returned with the reason.
    Ids of other tenants are ignored. Raises BadInput.
    """
    target = checked_target(to)
    rows = (
        Device.objects.filter(within(tenants), pk__in=list(device_ids))
        .order_by("pk")
        .select_for_update(no_key=True, of=("self",))
    )
    outcome = Moved()
    for row in rows:
        if target in MOVES[Lifecycle(row.lifecycle)]:
            outcome.devices.append(row)
        else:
            outcome.refused[row.uid] = _refusal(row, target).detail
    record_moves(outcome.devices, target, reason=reason, actor=actor)
    return outcome


def checked_target(to: str) -> Lifecycle:
    """Return the target, or raise BadInput; also for a replacement without a device."""
    if to not in Lifecycle.values:
        raise BadInput(to=f"One of: {', '.join(Lifecycle.values)}.")
    if to == Lifecycle.REPLACED:
        raise BadInput(replaced_by="Name the device that replaces it.")
    return Lifecycle(to)


def check_move(row: Device, target: Lifecycle) -> None:
    """Raise MoveRefused, with the allowed moves, if this one is not allowed."""
    if target not in MOVES[Lifecycle(row.lifecycle)]:
        raise _refusal(row, target)


def record_moves(
    rows: Sequence[Device],
    target: Lifecycle,
    *,
    reason: str,
    actor: User | None,
    replaced_by: Device | None = None,
) -> list[LifecycleMove]:
    """Move locked rows whose move is allowed; record who, when and why."""
    now = timezone.now()
    moves = [
        LifecycleMove(
            tenant_id=row.tenant_id,
            device=row,
            at=now,
            moved_from=row.lifecycle,
            moved_to=target,
            reason=reason,
            actor=actor,
            replaced_by=replaced_by,
        )
        for row in rows
    ]
    ids = [row.pk for row in rows]
    Device.objects.filter(pk__in=ids).update(lifecycle=target, updated_at=now)
    for row in rows:
        row.lifecycle, row.updated_at = target, now
    if target not in CONNECTS:
        revoke_credentials_of(ids)
    return LifecycleMove.objects.bulk_create(moves, batch_size=BATCH)


def _refusal(row: Device, target: Lifecycle) -> MoveRefused:
    allowed = [move.value for move in MOVES[Lifecycle(row.lifecycle)]]
    return MoveRefused(row.lifecycle, target.value, allowed)
