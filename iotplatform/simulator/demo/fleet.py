"""Which devices the demo fleet has: device number n is the same in a fleet of any size.

A block of ten devices: five sensors, a gateway with two probes, two meters. The story
in it: sensors of one batch, on firmware 1.4.2 in East China, run hot and lose their
connection again and again; the rest of the fleet rarely does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from iotplatform.simulator.demo.catalogue import BAD_BATCH, BATCHES, SPACES, SPACES_SITE
from iotplatform.simulator.demo.places import EAST_CHINA, PLACES, Place
from iotplatform.simulator.profiles import (
    DEFAULT_MIX,
    MAIN_FIRMWARE,
    NEW_FIRMWARE,
    OLD_FIRMWARE,
    choose,
)
from registry.choices import Lifecycle

ROOMS = [slug for slug, _name, kind, _parent in SPACES if kind == "room"]
BLOCK = 10
SEED = 1
SIMULATED_TAG = "simulated"
PRODUCT_OF_SLOT = (
    *("sensor-s1",) * 5,
    "gateway-g2",
    *("probe-p1",) * 2,
    *("meter-m1",) * 2,
)
GATEWAY_SLOT = 5
# Every so many blocks, the last sensor was registered and not installed yet: it never
# connected.
NOT_INSTALLED_EVERY, NOT_INSTALLED_BLOCK, NOT_INSTALLED_SLOT = 5, 1, 4
# Every so many blocks, the first sensor is one of the troubled; in the first block the
# second one is too, so that the story of a small fleet does not hang on one device.
TROUBLED_EVERY = 4
SECOND_TROUBLED = 1
# How much warmer a troubled sensor is: at any hour warmer than any other ever is.
TOO_WARM = {"temperature": 20.0}
TROUBLED_SITES = ("shanghai-01", "shanghai-01", "shanghai-02")
PLACES_OF = {
    tenant: [place for place in PLACES if place.tenant == tenant]
    for tenant in ("acme", "globex")
}
PLACE_OF_SLUG = {place.slug: place for place in PLACES}
# Of a thousand devices outside the story.
NOT_ACTIVE = (
    (Lifecycle.PROVISIONED, 20),
    (Lifecycle.IN_REPAIR, 15),
    (Lifecycle.RETIRED, 15),
)


@dataclass(frozen=True)
class DemoDevice:
    """One device as the registry and the simulator are told of it."""

    number: int
    uid: str
    name: str
    product: str
    place: Place
    profile: str
    firmware: str
    gateway_uid: str | None = None
    lifecycle: Lifecycle = Lifecycle.ACTIVE
    tags: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)
    is_troubled: bool = False
    # The chance that a past day has a quarter in which the device does what it rarely
    # does: a troubled one stays connected, any other loses its connection.
    odd_slot_chance: float = 0.0

    @property
    def tenant(self) -> str:
        return self.place.tenant

    @property
    def live_profile(self) -> str:
        """How the simulator plays it: only the troubled lose their connection.

        Others rarely do. A flaky profile would count as trouble within an hour.
        """
        is_too_flaky = self.profile == "flaky" and not self.is_troubled
        return "healthy" if is_too_flaky else self.profile

    @property
    def batch(self) -> str | None:
        """The slug of the batch that it was made in; only sensors have one."""
        if self.product != "sensor-s1":
            return None
        if self.is_troubled:
            return BAD_BATCH
        battery = self.attributes["battery_rev"]
        made = [slug for slug, _name, revision in BATCHES if revision == battery]
        # Few others of the bad batch: they are at risk, and well so far.
        return Random(f"batch:{self.number}").choice([*made[:1] * 3, *made[-1:]])

    @property
    def space(self) -> str | None:
        """The slug of the room that it stands in, at the site that has rooms."""
        if (self.tenant, self.place.slug) != SPACES_SITE:
            return None
        return Random(f"space:{self.number}").choice(ROOMS)


def demo_devices(count: int) -> Iterator[DemoDevice]:
    """Yield the first ``count`` devices of the demo fleet."""
    for number in range(count):
        yield _device(number)


def demo_device_of(uid: str) -> DemoDevice | None:
    """Return the device of the demo fleet that has this uid."""
    number = uid.rpartition("-")[2]
    if not number.isdecimal() or int(number) < 1:
        return None
    device = _device(int(number) - 1)
    return device if device.uid == uid else None


def _device(number: int) -> DemoDevice:
    block, slot = divmod(number, BLOCK)
    product = PRODUCT_OF_SLOT[slot]
    if slot == 0 and block % TROUBLED_EVERY == 0:
        site = TROUBLED_SITES[block // TROUBLED_EVERY % len(TROUBLED_SITES)]
        return _troubled(number, site)
    if number == SECOND_TROUBLED:
        return _troubled(number, TROUBLED_SITES[-1])
    draw = Random(f"demo:{number}")
    uid = _uid(product, number)
    gateway_uid = None
    if product == "probe-p1":
        gateway_number = block * BLOCK + GATEWAY_SLOT
        gateway_uid = _uid("gateway-g2", gateway_number)
        place = _place("gateway-g2", gateway_number)
    else:
        place = _place(product, number)
    revision = draw.choice("AAAB")
    profile = choose(DEFAULT_MIX, seed=SEED, uid=uid).name
    return DemoDevice(
        number=number,
        uid=uid,
        name=f"{place.name}, {product} {number + 1}",
        product=product,
        place=place,
        profile=profile,
        firmware=_firmware(draw, place, profile),
        gateway_uid=gateway_uid,
        lifecycle=_lifecycle(draw, block, slot),
        tags=_tags(draw, place),
        attributes=_attributes(product, revision, draw),
        odd_slot_chance=0.6 if profile == "flaky" else 0.08,
    )


def _troubled(number: int, site: str) -> DemoDevice:
    place = PLACE_OF_SLUG[site]
    return DemoDevice(
        number=number,
        uid=_uid("sensor-s1", number),
        name=f"{place.name}, sensor-s1 {number + 1}",
        product="sensor-s1",
        place=place,
        profile="flaky",
        firmware=MAIN_FIRMWARE,
        tags=[SIMULATED_TAG, "winter"],
        attributes={"battery_rev": "B"},
        is_troubled=True,
        odd_slot_chance=0.6,
    )


def _uid(product: str, number: int) -> str:
    return f"{product.rpartition('-')[2]}-{number + 1:06d}"


def _place(product: str, number: int) -> Place:
    tenant = "globex" if product == "meter-m1" else "acme"
    return Random(f"place:{number}").choice(PLACES_OF[tenant])


def _firmware(draw: Random, place: Place, profile: str) -> str:
    if profile == "old_firmware":
        return OLD_FIRMWARE
    # The new version goes region by region, and East China is not done.
    share = 0.2 if place.region == EAST_CHINA else 0.6
    return NEW_FIRMWARE if draw.random() < share else MAIN_FIRMWARE


def _lifecycle(draw: Random, block: int, slot: int) -> Lifecycle:
    if slot == GATEWAY_SLOT:
        return Lifecycle.ACTIVE
    place = (block % NOT_INSTALLED_EVERY, slot)
    if place == (NOT_INSTALLED_BLOCK, NOT_INSTALLED_SLOT):
        return Lifecycle.PROVISIONED
    chance = draw.random() * 1_000
    for lifecycle, share in NOT_ACTIVE:
        if chance < share:
            return lifecycle
        chance -= share
    return Lifecycle.ACTIVE


def _tags(draw: Random, place: Place) -> list[str]:
    tags = [SIMULATED_TAG]
    if place.latitude > 30 and draw.random() < 0.4:
        tags.append("winter")
    if draw.random() < 0.05:
        tags.append("pilot")
    return tags


def _attributes(product: str, revision: str, draw: Random) -> dict[str, str]:
    if product in ("sensor-s1", "probe-p1"):
        return {"battery_rev": revision}
    if product == "meter-m1":
        return {"meter_class": draw.choice(["0.5S", "1", "1", "2"])}
    return {}
