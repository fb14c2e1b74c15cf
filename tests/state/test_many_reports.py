"""A fleet's reports as real networks deliver them, compared with a simple model.

Some arrive twice, some overtake others, wills of broken connections arrive after the
next birth, device clocks are wrong by a day. In the end each device has the state of
the model, and none was offline while it sent messages.
"""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from random import Random
from typing import Any

import pytest

from commands.services.uplink import ingest_batch
from iotplatform.common.messages import Uplink
from registry.models import Device, Product
from state.models import ConnectivityTransition, Presence, TelemetrySummary, Twin
from tests.factories import DeviceFactory, ProductFactory, TenantFactory
from tests.state.scene import MINUTE, SECOND, keep_listening, sweep, t, uplink

pytestmark = pytest.mark.django_db
DEVICES, REPORTS = 50, 3_000
DEVICES_AT_FULL_SIZE, REPORTS_AT_FULL_SIZE = 1_000, 100_000
REPEATED, REORDERED, LEAVING = 0.10, 0.20, 0.05
DAY_MS = 86_400_000


@dataclass
class Unit:
    """A device, its messages in order, and the state expected in the end."""

    device: Device
    is_leaving: bool
    sends: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    version: int = 0
    reported: dict[str, Any] = field(default_factory=dict)
    temperature: float | None = None


def make_unit(device: Device, count: int, chance: Random) -> Unit:
    """Let a device go through some connections and reboots."""
    unit = Unit(device, chance.random() < LEAVING)
    clock_off = chance.choice((0, 0, DAY_MS, -DAY_MS))
    boot, seq, session, version, late_will = 1, 0, 0, 0, False
    while len(unit.sends) < count:
        stamp = {"boot": boot, "seq": (seq := seq + 1)}
        stamp["ts"] = int(t(0).timestamp() * 1_000) + clock_off
        at_first = not unit.sends
        if at_first or chance.random() < 0.05:
            if not at_first and chance.random() < 0.3:
                boot, seq, version = boot + 1, 1, 0
                stamp |= {"boot": boot, "seq": seq}
            late_will, session = not at_first, session + 1
            birth = {"status": "online", "session": f"s{session}", **stamp}
            unit.sends.append(("status", birth))
        elif late_will:
            late_will, seq = False, seq - 1
            gone = {"status": "offline", "session": f"s{session - 1}"}
            unit.sends.append(("status", gone))
        elif (draw := chance.random()) < 0.4:
            unit.sends.append(("heartbeat", stamp))
        elif draw < 0.7:
            unit.version = version = version + 1
            unit.reported = {"firmware": f"{boot}.{version}", "n": len(unit.sends)}
            body = {"version": version, "reported": unit.reported, **stamp}
            unit.sends.append(("reported", body))
        else:
            unit.temperature = float(len(unit.sends))
            metrics = {"temperature": unit.temperature}
            unit.sends.append(("telemetry", {"metrics": metrics, **stamp}))
    if unit.is_leaving:
        gone = {"status": "offline", "session": f"s{session}"}
        unit.sends.append(("status", gone))
    return unit


def delivered(unit: Unit, chance: Random, counted: Counter[str]) -> list[Any]:
    """Return the messages of a device that arrive, in order of arrival."""
    came = list(unit.sends)
    # The broker forwards status messages as they happen.
    free = [n for n, (kind, _) in enumerate(came) if kind != "status"]
    for left, right in itertools.pairwise(free):
        if chance.random() < REORDERED:
            came[left], came[right] = came[right], came[left]
            counted["reports of a fleet that overtook another"] += 1
    found = []
    for kind, body in came:
        found.append((kind, body))
        is_last_word = unit.is_leaving and body is unit.sends[-1][1]
        if "seq" in body and not is_last_word and chance.random() < REPEATED:
            found.append((kind, body))
            counted["reports of a fleet that came twice"] += 1
    return found


def arrivals(units: list[Unit], chance: Random, counted: Counter[str]) -> list[Uplink]:
    """Return the messages of all devices: each is heard every few seconds."""
    found = []
    for unit in units:
        at: datetime = t(0) + chance.random() * 10 * SECOND
        for kind, body in delivered(unit, chance, counted):
            at += chance.uniform(1, 15) * SECOND
            found.append(uplink(unit.device, kind, at, **body))
    return sorted(found, key=attrgetter("at"))


def live(came: list[Uplink]) -> datetime:
    """Ingest all messages while the time passes; return the end.

    After its last report a device sends heartbeats, unless it left.
    """
    begin = t(0)
    while came:
        end = begin + MINUTE / 4
        batch = [one for one in came if one.at < end]
        del came[: len(batch)]
        keep_listening(begin, end)
        for first in range(0, len(batch), 500):
            ingest_batch(batch[first : first + 500], [], now=end)
        sweep(end)
        begin = end
    return begin


def kept_alive(units: list[Unit], came: list[Uplink]) -> list[Uplink]:
    """Add heartbeats for devices whose reports end before those of others."""
    end = came[-1].at
    last = {one.uid: one.at for one in came}
    more = []
    for unit in units:
        if unit.is_leaving:
            continue
        at = last[unit.device.uid] + MINUTE / 2
        while at < end:
            more.append(uplink(unit.device, "heartbeat", at))
            at += MINUTE / 2
    return sorted([*came, *more], key=attrgetter("at"))


def products_of(tenant: Any) -> Product:
    metrics = [{"name": "temperature", "unit": "°C"}]
    product: Product = ProductFactory(tenant=tenant, metrics=metrics)
    return product


def test_delayed_and_repeated_reports_give_the_same_final_state(
    counted: Counter[str], is_long: bool
) -> None:
    size, reports = (
        (DEVICES_AT_FULL_SIZE, REPORTS_AT_FULL_SIZE) if is_long else (DEVICES, REPORTS)
    )
    chance = Random(20261126)
    product = products_of(TenantFactory())
    units = [
        make_unit(
            DeviceFactory(tenant=product.tenant, product=product),
            reports // size,
            chance,
        )
        for _ in range(size)
    ]
    came = kept_alive(units, arrivals(units, chance, counted))
    counted["reports of a fleet, against a model"] += len(came)

    live(came)

    leaving = {unit.device.pk for unit in units if unit.is_leaving}
    gone = ConnectivityTransition.objects.filter(moved_to="offline")
    assert not gone.exclude(device__in=leaving).exists()
    wrong = {
        unit.device.uid: (found(unit), modelled(unit))
        for unit in units
        if found(unit) != modelled(unit)
    }
    assert wrong == {}


def modelled(unit: Unit) -> dict[str, Any]:
    offline = ("offline", "last_will")
    return {
        "presence": offline if unit.is_leaving else ("online", ""),
        "reported": (unit.version, unit.reported),
        "temperature": unit.temperature,
    }


def found(unit: Unit) -> dict[str, Any]:
    key = {"pk": unit.device.pk}
    presence = Presence.objects.get(**key)
    twin = Twin.objects.filter(**key).first()
    summary = TelemetrySummary.objects.filter(**key).first()
    latest = summary.latest.get("temperature", {}) if summary else {}
    return {
        "presence": (presence.connectivity, presence.cause),
        "reported": (twin.reported_version, twin.reported) if twin else (0, {}),
        "temperature": latest.get("value"),
    }
