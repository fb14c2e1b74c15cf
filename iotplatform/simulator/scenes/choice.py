"""Which devices play a scene, from the fleet that there is. No database, no clock.

A scene must have one cause only, so its devices are chosen by what they share: a site
is whole, and devices of one firmware or batch are few at each site.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from iotplatform.common.counts import counted

SITE_OUTAGE, BAD_FIRMWARE, ADAPTER_SLOW, ALARM_STORM, BATTERY_WAVE = SCENES = (
    "site-outage",
    "bad-firmware",
    "adapter-slow",
    "alarm-storm",
    "battery-wave",
)
# Fewer devices of a group say nothing about it, whatever they do.
LEAST, FEW = 5, 4
MOST = 12  # devices that get the bad firmware
# Of a group; the rest is away, in maintenance, or not simulated.
PLAYING_SHARE = 0.6
BAD_VERSION = "1.6.{}"


class NoFit(Exception):
    """The fleet has too few devices for the scene."""


@dataclass(frozen=True)
class FleetDevice:
    """A device in service, and whom it belongs to; places have their tenant's key."""

    uid: str
    site: str
    site_name: str
    product: str
    firmware: str = ""
    batch: str = ""
    gateway: str = ""  # of a child
    is_gateway: bool = False
    has_battery: bool = False
    # Simulated, online, not in maintenance: it can play.
    is_ready: bool = True


@dataclass(frozen=True)
class Choice:
    """The devices of a scene, and what to say about them."""

    uids: tuple[str, ...]
    text: str
    version: str = ""  # the firmware that they report


def choose(scene: str, fleet: Sequence[FleetDevice]) -> Choice:
    """Return who plays the scene; raises NoFit. The same fleet, the same devices."""
    return CHOICES[scene](sorted(fleet, key=lambda device: device.uid))


def _site_outage(fleet: Sequence[FleetDevice]) -> Choice:
    [rows, *_] = _whole_sites(fleet)
    return Choice(
        _uids(rows),
        f"{counted(len(rows), 'device')} of {rows[0].site_name} lose their connection."
        " In the queue: one incident of this site, within a minute.",
    )


def _alarm_storm(fleet: Sequence[FleetDevice]) -> Choice:
    rows = _whole_sites(fleet)[-1]  # not the site of the outage, if there are two
    return Choice(
        _uids(rows),
        f"{counted(len(rows), 'device')} of {rows[0].site_name} raise five alarms each."
        " In the queue: one incident of this site, with all its alarms.",
    )


def _bad_firmware(fleet: Sequence[FleetDevice]) -> Choice:
    by_product: dict[str, list[FleetDevice]] = defaultdict(list)
    for device in fleet:
        if device.is_ready and not device.gateway and not device.is_gateway:
            by_product[device.product].append(device)
    spread = [_few_of_each_site(rows)[:MOST] for rows in by_product.values()]
    rows = max(spread, key=len, default=[])
    if len(rows) < LEAST:
        raise NoFit(f"No product has {LEAST} devices that are online, at two sites.")
    known = {device.firmware for device in fleet}
    version = _first_unknown(known)
    return Choice(
        _uids(rows),
        f"{counted(len(rows), 'device')} of {rows[0].product.partition('/')[2]} report"
        f" the new firmware {version} and are lost. In the queue: one incident of this"
        " firmware; its page says what changed before.",
        version,
    )


def _adapter_slow(fleet: Sequence[FleetDevice]) -> Choice:
    rows = [device for device in fleet if device.is_ready]
    if len(rows) < LEAST:
        raise NoFit(f"Fewer than {LEAST} devices are online.")
    return Choice(
        _uids(rows),
        f"{counted(len(rows), 'device')} answer commands after 20 to 40 seconds. Now"
        " send identify to 30 of them, from Fleet. In the queue: one incident of the"
        " adapter, when the answers have come.",
    )


def _battery_wave(fleet: Sequence[FleetDevice]) -> Choice:
    by_batch: dict[str, list[FleetDevice]] = defaultdict(list)
    for device in fleet:
        if device.batch:
            by_batch[device.batch].append(device)
    fits = []
    for batch, peers in sorted(by_batch.items()):
        able = [row for row in peers if row.is_ready and row.has_battery]
        rows = _few_of_each_site(able)
        if len(rows) >= max(LEAST, PLAYING_SHARE * len(peers)):
            fits.append((len(rows), batch, rows))
    if not fits:
        raise NoFit(f"No batch has {LEAST} devices with a battery that are online.")
    _, batch, rows = min(fits)
    return Choice(
        _uids(rows),
        f"{counted(len(rows), 'device')} of the batch {batch.partition('/')[2]} say"
        " that the battery is low. In the queue: one incident of this batch.",
    )


CHOICES: dict[str, Callable[[Sequence[FleetDevice]], Choice]] = {
    SITE_OUTAGE: _site_outage,
    BAD_FIRMWARE: _bad_firmware,
    ADAPTER_SLOW: _adapter_slow,
    ALARM_STORM: _alarm_storm,
    BATTERY_WAVE: _battery_wave,
}


def _uids(rows: Iterable[FleetDevice]) -> tuple[str, ...]:
    return tuple(row.uid for row in rows)


def _whole_sites(fleet: Sequence[FleetDevice]) -> list[list[FleetDevice]]:
    """Return who can play at each site where nearly all can; the two largest."""
    by_site: dict[str, list[FleetDevice]] = defaultdict(list)
    site_of = {device.uid: device.site for device in fleet}
    far = {
        uid
        for device in fleet
        if device.gateway and site_of.get(device.gateway) != device.site
        for uid in (device.uid, device.gateway)
    }
    for device in fleet:
        by_site[device.site].append(device)
    fits = []
    for site, peers in by_site.items():
        rows = [row for row in peers if row.is_ready and row.uid not in far]
        families = Counter(row.gateway or row.uid for row in rows)
        largest = max(families.values(), default=0)
        is_whole = len(rows) >= max(LEAST, PLAYING_SHARE * len(peers))
        if is_whole and 2 * largest <= len(rows):  # else the gateway would be the cause
            fits.append((-len(rows), site, rows))
    if not fits:
        raise NoFit(f"No site has {LEAST} devices, most of them online and simulated.")
    return [rows for _, _, rows in sorted(fits)[:2]]


def _few_of_each_site(rows: Sequence[FleetDevice]) -> list[FleetDevice]:
    """Return at most FEW of each site, taken in turn: no site is the cause."""
    by_site: dict[str, list[FleetDevice]] = defaultdict(list)
    for row in rows:
        by_site[row.site].append(row)
    turns = zip_longest(*(found[:FEW] for _, found in sorted(by_site.items())))
    return [row for turn in turns for row in turn if row is not None]


def _first_unknown(versions: set[str]) -> str:
    number = 0
    while BAD_VERSION.format(number) in versions:
        number += 1
    return BAD_VERSION.format(number)
