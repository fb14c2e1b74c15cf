"""What the demo waits for: a listening platform, and devices that have spoken."""

from __future__ import annotations

from datetime import datetime

from iotplatform.simulator.demo.fleet import SIMULATED_TAG
from registry.choices import CONNECTS
from registry.models import Device
from state.models import Twin
from state.selectors.adapter_liveness import list_slots


def count_silent_across_tenants() -> tuple[int, int]:
    """Return how many simulated devices have never reported, and how many there are."""
    devices = Device.objects.filter(
        tags__contains=[SIMULATED_TAG], lifecycle__in=CONNECTS
    )
    total = devices.count()
    spoke = Twin.objects.filter(device__in=devices).exclude(firmware="").count()
    return total - spoke, total


def is_heard_across_tenants(*, since: datetime) -> bool:
    """Whether every bridge slot has been read at some moment after ``since``.

    A broker keeps nothing for a bridge that never subscribed: what devices say before
    its first time is lost.
    """
    slots = list_slots()
    return bool(slots) and all(slot.caught_up_at > since for slot in slots)
