"""What depends on devices that are about to be replaced or transferred."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from commands.models import Command
from registry.models import Credential, Device


@dataclass(frozen=True)
class DeviceDependents:
    """How many rows of each kind depend on a set of devices."""

    credentials: int  # valid ones
    children: int
    open_commands: int


def count_dependents(device_ids: Collection[int]) -> DeviceDependents:
    """Count what depends on these devices, in three queries for any number of them."""
    ids = list(device_ids)
    return DeviceDependents(
        credentials=Credential.objects.filter(
            device_id__in=ids, revoked_at__isnull=True
        ).count(),
        children=Device.objects.filter(gateway_id__in=ids).count(),
        open_commands=Command.objects.filter(
            device_id__in=ids, ended_at__isnull=True
        ).count(),
    )
