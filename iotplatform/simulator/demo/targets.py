"""The devices of the demo fleet as the simulator plays them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from iotplatform.simulator.demo.fleet import (
    SIMULATED_TAG,
    TOO_WARM,
    DemoDevice,
    demo_device_of,
)
from iotplatform.simulator.targets import Target
from registry.choices import CONNECTS, Lifecycle
from registry.models import Device
from state.models import Twin

# Who is only registered is not installed yet.
INSTALLED = CONNECTS - {Lifecycle.PROVISIONED}
# Of a reported document: what is not configuration.
OWN_KEYS = ("firmware", "config_version")


def list_simulated_across_tenants() -> QuerySet[Device]:
    """Return the devices that the simulator plays."""
    return Device.objects.filter(
        tags__contains=[SIMULATED_TAG], lifecycle__in=INSTALLED
    )


def demo_targets_across_tenants() -> list[Target]:
    """Return the installed demo devices, as registry and state have them now."""
    rows = (
        list_simulated_across_tenants()
        .select_related("product", "gateway")
        .only(
            "uid",
            "product__metrics",
            "product__heartbeat_seconds",
            "gateway__uid",
        )
        .order_by("pk")
    )
    twins = Twin.objects.filter(device__in=list_simulated_across_tenants())
    known = {
        pk: (reported, version)
        for pk, reported, version in twins.values_list(
            "pk", "reported", "desired_version"
        )
    }
    return [
        _target(row, *known.get(row.pk, ({}, 0)))
        for row in rows.iterator(chunk_size=5_000)
    ]


def _target(device: Device, reported: dict[str, Any], version: int) -> Target:
    planned: DemoDevice | None = demo_device_of(device.uid)
    return Target(
        uid=device.uid,
        metrics=tuple(metric["name"] for metric in device.product.metrics),
        heartbeat_seconds=device.product.heartbeat_seconds,
        gateway_uid=device.gateway.uid if device.gateway else None,
        profile=planned.live_profile if planned else None,
        firmware=reported.get("firmware") or (planned.firmware if planned else None),
        config={key: reported[key] for key in reported.keys() - set(OWN_KEYS)},
        desired_version=version,
        offsets=TOO_WARM if planned and planned.is_troubled else {},
    )
