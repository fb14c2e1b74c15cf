"""What devices do on quiet days opens no incident: reconnects, restarts, gaps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from console.models import Incident
from console.services.incidents.sweep import sweep_incidents_across_tenants
from iotplatform.simulator.demo.replay import Said, hear
from registry.models import Device
from state.services.presence.sweep import sweep_across_tenants
from tests.factories import DeviceFactory, ProductFactory, SiteFactory

# Each message is a transaction, as it is outside: within one for the whole week, no old
# version of a row is ever cleaned up, and each step takes longer than the one before.
pytestmark = pytest.mark.django_db(transaction=True)
STEP, BEAT_SECONDS = timedelta(minutes=15), 3_600
PER_SITE = 20
# In a step, the share of devices that do what is usual.
RECONNECTS, RESTARTS, MISSES, INFORMS, FLICKERS = 0.02, 0.01, 0.03, 0.02, 0.01


@pytest.mark.parametrize(
    ("size", "hours"),
    [(40, 6), pytest.param(1_000, 7 * 24, marks=pytest.mark.long)],
)
def test_a_quiet_week_opens_no_incident(size: int, hours: int) -> None:
    devices = list(make_devices(size))
    begin = datetime.now(UTC) - timedelta(hours=hours)
    hear([birth(device.uid, 0) for device in devices], at=begin)
    draw = Random(size)

    for number in range(1, hours * 4 + 1):
        live(devices, number, at=begin + number * STEP, draw=draw)

    assert list(Incident.objects.values_list("title", flat=True)) == []


def make_devices(size: int) -> Iterator[Device]:
    site = SiteFactory.create()
    product = ProductFactory.create(tenant=site.tenant, heartbeat_seconds=BEAT_SECONDS)
    for number in range(size):
        if number % PER_SITE == 0:
            site = SiteFactory.create(tenant=product.tenant)
        yield DeviceFactory.create(tenant=product.tenant, product=product, site=site)


def live(devices: list[Device], number: int, *, at: datetime, draw: Random) -> None:
    """Let a step pass: who is due is heard, some go and are back within seconds."""
    first: list[Said] = []
    back: list[Said] = []
    for place, device in enumerate(devices):
        uid, chance = device.uid, draw.random()
        if (place + number) % 4 == 0 and draw.random() > MISSES:
            first.append(Said(uid, "heartbeat", {}))
        if chance < RECONNECTS:
            first.append(leaving(uid, "offline"))
            back.append(birth(uid, number))
        elif (chance := chance - RECONNECTS) < RESTARTS:
            first.append(leaving(uid, "goodbye"))
            back.append(birth(uid, number))
        elif (chance := chance - RESTARTS) < INFORMS:
            first.append(event(uid, "door_open", "info", "raised"))
        elif chance - INFORMS < FLICKERS:
            first.append(event(uid, "power_low", "warning", "raised"))
            back.append(event(uid, "power_low", "warning", "cleared"))
    for seconds, said in ((0, first), (8, []), (25, back)):
        now = at + timedelta(seconds=seconds)
        hear(said, at=now)
        sweep_across_tenants(now=now)
        sweep_incidents_across_tenants(now=now)


def birth(uid: str, number: int) -> Said:
    body = {"status": "online", "session": f"{uid}:{number}"}
    return Said(uid, "status", body)


def leaving(uid: str, status: str) -> Said:
    return Said(uid, "status", {"status": status})


def event(uid: str, code: str, severity: str, state: str) -> Said:
    return Said(uid, "event", {"code": code, "severity": severity, "state": state})
