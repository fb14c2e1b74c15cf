"""Test helpers: devices send messages through the real ingest at chosen times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.services.uplink import ingest_batch
from iotplatform.common.messages import Uplink, parse
from registry.models import Device, Site
from state.models import ConnectivityTransition, MaintenanceWindow, Presence, Twin
from state.services.maintenance import open_window
from state.services.presence.adapter_liveness import Beat, beat
from state.services.presence.sweep import (
    sweep_across_tenants,
    wake_children_across_tenants,
)
from tests.factories import DeviceFactory, UserFactory

T0 = datetime.now(UTC).replace(microsecond=0)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(seconds=60)  # the interval of the factory's product


def t(minutes: float) -> datetime:
    """Return the time so many minutes after the start of the test."""
    return T0 + minutes * MINUTE


def uplink(
    device: Device,
    kind: str,
    at: datetime,
    *,
    retained: bool = False,
    through: Device | None = None,
    **body: Any,
) -> Uplink:
    """Return a message of a device as the adapter parses it."""
    relay = f"{through.uid}/child/" if through else ""
    return parse(
        f"iot/v1/{relay}{device.uid}/{kind}",
        json.dumps(body).encode(),
        retained=retained,
        arrived_at=at,
        adapter="mqtt",
    )


def arrive(*uplinks: Uplink) -> None:
    """Ingest the messages as one batch."""
    ingest_batch(uplinks, [], now=max(uplink.at for uplink in uplinks))


def say(device: Device, kind: str, at: datetime, **body: Any) -> None:
    """Ingest one message in a batch of its own."""
    arrive(uplink(device, kind, at, **body))


def be_born(device: Device, at: datetime, session: str = "s1", **body: Any) -> None:
    say(device, "status", at, status="online", session=session, **body)


def will(device: Device, at: datetime, session: str | None, **body: Any) -> None:
    """Ingest a last will: the broker reports a lost connection."""
    say(device, "status", at, status="offline", session=session, **body)


def sweep(at: datetime) -> None:
    """Run the sweep until nothing is due."""
    wake_children_across_tenants(now=at)
    while sweep_across_tenants(now=at):
        pass
    if wake_children_across_tenants(now=at):
        while sweep_across_tenants(now=at):
            pass


def listen(at: datetime, *, slot: int = 1, read_up_to: datetime | None = None) -> None:
    """Record a beat of a slot that has read everything, or up to ``read_up_to``."""
    reported = Beat(slot, "test:1", read_up_to or at, 10, 1, 0, 10.0, 0.02)
    beat([reported], now=at)


def keep_listening(begin: datetime, end: datetime) -> None:
    """Record beats without a gap."""
    while begin < end:
        begin = min(begin + 4 * SECOND, end)
        listen(begin)


def standing(device: Device) -> tuple[str, str]:
    """Return the stored verdict and its cause."""
    row = Presence.objects.get(pk=device.pk)
    return row.connectivity, row.cause


def presence(device: Device) -> Presence:
    return Presence.objects.get(pk=device.pk)


def twin(device: Device) -> Twin:
    return Twin.objects.get(pk=device.pk)


def moves(device: Device) -> list[tuple[str, str]]:
    """Return the stored transitions as (new value, cause)."""
    rows = ConnectivityTransition.objects.filter(device=device).order_by("at", "id")
    return list(rows.values_list("moved_to", "cause"))


def announce(
    *places: Device | Site, begin: datetime, end: datetime, reason: str = "filters"
) -> MaintenanceWindow:
    """Open a maintenance window for devices or sites."""
    devices = [place for place in places if isinstance(place, Device)]
    return open_window(
        tenant=places[0].tenant,
        devices=devices,
        sites=[place for place in places if isinstance(place, Site)],
        from_at=begin,
        until=end,
        reason=reason,
        by=UserFactory.create(),
    )


def make_family(children: int = 1) -> tuple[Device, Sequence[Device]]:
    """Return a gateway and its children."""
    gateway = DeviceFactory.create(kind="gateway")
    made = [
        DeviceFactory.create(
            tenant=gateway.tenant,
            kind="child",
            gateway=gateway,
            product=gateway.product,
        )
        for _ in range(children)
    ]
    return gateway, made
