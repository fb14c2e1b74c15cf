"""The devices of the demo fleet as the simulator plays them."""

from __future__ import annotations

from iotplatform.simulator.demo.fleet import (
    SIMULATED_TAG,
    DemoDevice,
    demo_device_of,
)
from iotplatform.simulator.targets import Target
from registry.choices import CONNECTS
from registry.models import Device


def demo_targets_across_tenants() -> list[Target]:
    """Return the demo devices that the registry lets connect, as it has them now."""
    rows = (
        Device.objects.filter(tags__contains=[SIMULATED_TAG], lifecycle__in=CONNECTS)
        .select_related("product", "gateway")
        .only(
            "uid",
            "product__metrics",
            "product__heartbeat_seconds",
            "gateway__uid",
        )
        .order_by("pk")
    )
    return [_target(row) for row in rows.iterator(chunk_size=5_000)]


def _target(device: Device) -> Target:
    planned: DemoDevice | None = demo_device_of(device.uid)
    return Target(
        uid=device.uid,
        metrics=tuple(metric["name"] for metric in device.product.metrics),
        heartbeat_seconds=device.product.heartbeat_seconds,
        gateway_uid=device.gateway.uid if device.gateway else None,
        profile=planned.profile if planned else None,
        firmware=planned.firmware if planned else None,
    )
