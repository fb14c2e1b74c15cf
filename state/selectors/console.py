"""What only the console's pages show of state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry.models import Device
from state.models import DeadLetter, Presence, Twin


@dataclass(frozen=True)
class DeviceFacts:
    """Beside the contract's shape: counts and times that explain it to a person."""

    disconnects_72h: int = 0
    clock_skew: bool = False
    reported_at: datetime | None = None


def get_device_facts(device: Device) -> DeviceFacts:
    """Return them; a device that was never heard has none."""
    presence = Presence.objects.filter(pk=device.pk).first()
    twin = Twin.objects.filter(pk=device.pk).first()
    return DeviceFacts(
        disconnects_72h=presence.disconnects_72h if presence else 0,
        clock_skew=presence.clock_skew if presence else False,
        reported_at=twin.reported_at if twin else None,
    )


def latest_dead_letters_across_tenants(*, limit: int) -> list[DeadLetter]:
    """Return the newest of all, those of no known device too: for a superuser."""
    return list(DeadLetter.objects.select_related("tenant").order_by("-pk")[:limit])
