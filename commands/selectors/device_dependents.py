"""What hangs on devices that are about to change places or owners."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from commands.models import Command
from registry.models import Credential, Device


@dataclass(frozen=True)
class Hanging:
    """How much of each kind hangs on a set of devices."""

    credentials: int  # valid ones
    children: int
    open_commands: int


def what_hangs_on(device_ids: Collection[int]) -> Hanging:
    """Count what hangs on these devices, in three queries for any number of them."""
    ids = list(device_ids)
    return Hanging(
        credentials=Credential.objects.filter(
            device_id__in=ids, revoked_at__isnull=True
        ).count(),
        children=Device.objects.filter(gateway_id__in=ids).count(),
        open_commands=Command.objects.filter(
            device_id__in=ids, ended_at__isnull=True
        ).count(),
    )
