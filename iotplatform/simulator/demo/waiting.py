"""What the demo waits for: a listening platform, and devices that have spoken."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from iotplatform.simulator.demo.fleet import demo_device_of
from iotplatform.simulator.demo.targets import list_simulated_across_tenants
from registry.models import Device
from state.models import Presence
from state.selectors.adapter_liveness import list_slots

# Of the fleet that may be silent: flaky devices are away now and then.
SILENT_SHARE = 0.05


def has_spoken_across_tenants() -> bool:
    """Whether the simulated fleet has reported: nearly all, and all of the story."""
    devices = list_simulated_across_tenants()
    # The past that the demo loads is told without boot numbers; live devices send them.
    spoke = Presence.objects.filter(device__in=devices, boot__isnull=False)
    total = devices.count()
    if total - spoke.count() > total * SILENT_SHARE:
        return False
    return not any(map(_is_troubled, _uids(devices.exclude(pk__in=spoke.values("pk")))))


def _uids(devices: QuerySet[Device]) -> list[str]:
    return list(devices.values_list("uid", flat=True))


def _is_troubled(uid: str) -> bool:
    device = demo_device_of(uid)
    return device is not None and device.is_troubled


def is_heard_across_tenants(*, since: datetime) -> bool:
    """Whether every bridge slot has been read at some moment after ``since``.

    A broker keeps nothing for a bridge that never subscribed: what devices say before
    its first time is lost.
    """
    slots = list_slots()
    return bool(slots) and all(slot.is_read_since(since) for slot in slots)
