"""How far the simulated demo fleet has come."""

from __future__ import annotations

from iotplatform.simulator.demo.fleet import SIMULATED_TAG
from registry.lifecycle import CONNECTS
from registry.models import Device
from state.models import Twin


def count_silent_across_tenants() -> tuple[int, int]:
    """Return how many simulated devices have never reported, and how many there are."""
    devices = Device.objects.filter(
        tags__contains=[SIMULATED_TAG], lifecycle__in=CONNECTS
    )
    total = devices.count()
    spoke = Twin.objects.filter(device__in=devices).exclude(firmware="").count()
    return total - spoke, total
