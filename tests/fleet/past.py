"""A fleet with a past of some weeks, made through the real services; its queries."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine

from commands.services.device_transfer import transfer_device
from fleet.backends.documents import FleetDocument
from fleet.documents import build_documents
from fleet.fields import FieldRef
from fleet.query.tree import (
    All,
    And,
    Between,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    Wild,
)
from fleet.selectors.past_fleet import KNOWN
from registry.choices import MOVES, Lifecycle
from registry.models import Device, Product, Site, Tenant
from registry.services.devices import update_device
from registry.services.lifecycle import move_lifecycle
from registry.services.transfer import Destination
from tests.factories import (
    DeviceFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
)
from tests.state.scene import be_born, say, sweep, will

FIRMWARES = ["1.4.2", "v1.4.2", "1.4.10", "1.10", "2.0-rc1", "2.0"]
SPAN = timedelta(days=29)


class PastFleet:
    """Devices of two tenants that change at random; it notes what they are."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = datetime.now(UTC) - SPAN
        self.moments: list[datetime] = []
        self.documents: list[dict[int, FleetDocument]] = []
        with time_machine.travel(self.now, tick=False):
            self.tenants: list[Tenant] = TenantFactory.create_batch(2)
            for tenant in self.tenants:
                SiteFactory.create_batch(3, tenant=tenant)
                ProductFactory.create(tenant=tenant)
            for _ in range(6):
                self.register()

    def live(self, steps: int) -> None:
        """Let things happen until now, and note all documents after each."""
        happens: list[Callable[[], object]] = [
            *[self.register] * 1,
            *[self.connect] * 5,
            *[self.disconnect] * 3,
            *[self.report] * 5,
            *[self.alarm] * 6,
            *[self.move_site] * 3,
            *[self.move_in_bulk] * 1,
            *[self.move_lifecycle] * 3,
            *[self.transfer] * 1,
            *[self.fall_silent] * 2,
        ]
        for _ in range(steps):
            self.now += SPAN / steps * self.chance.uniform(0.2, 0.95)
            with time_machine.travel(self.now, tick=False):
                self.chance.choice(happens)()
            self.note()

    def note(self) -> None:
        ids = list(Device.objects.order_by("pk").values_list("pk", flat=True))
        self.moments.append(self.now)
        self.documents.append({row.device_id: row for row in build_documents(ids)})

    def fleet_at(self, at: datetime, tenant: Tenant) -> list[FleetDocument]:
        """Return the documents of a moment, of devices that are still the tenant's."""
        place = sum(moment <= at for moment in self.moments) - 1
        today = self.documents[-1]
        return [
            row
            for row in self.documents[place].values()
            if row.tenant_id == today[row.device_id].tenant_id == tenant.pk
        ]

    def some_device(self) -> Device:
        return self.chance.choice(list(Device.objects.order_by("pk")))

    def some_site(self, tenant: Tenant) -> Site:
        return self.chance.choice(list(Site.objects.filter(tenant=tenant)))

    def register(self) -> None:
        tenant = self.chance.choice(self.tenants)
        DeviceFactory.create(
            tenant=tenant,
            site=self.some_site(tenant),
            product=Product.objects.get(tenant=tenant),
            lifecycle=self.chance.choice(["provisioned", "active"]),
        )

    def connect(self) -> None:
        be_born(self.some_device(), self.now, f"s{self.chance.randrange(9)}")

    def disconnect(self) -> None:
        device = self.some_device()
        if self.chance.random() < 0.5:
            will(device, self.now, f"s{self.chance.randrange(9)}")
        else:
            say(device, "status", self.now, status="goodbye")

    def fall_silent(self) -> None:
        sweep(self.now)

    def report(self) -> None:
        firmware = self.chance.choice([*FIRMWARES, None])
        reported = {"firmware": firmware, "config_version": self.chance.randrange(3)}
        body = {"version": len(self.moments) + 1, "reported": reported}
        say(self.some_device(), "reported", self.now, **body)

    def alarm(self) -> None:
        event = {
            "code": self.chance.choice(["hot", "wet", "open"]),
            "severity": self.chance.choice(["info", "critical"]),
            "state": self.chance.choice(["raised", "raised", "cleared"]),
        }
        say(self.some_device(), "event", self.now, **event)

    def move_site(self) -> None:
        device = self.some_device()
        update_device(device, changes={"site": self.some_site(device.tenant)})

    def move_in_bulk(self) -> None:
        tenant = self.chance.choice(self.tenants)
        Device.objects.filter(tenant=tenant).update(
            site=self.some_site(tenant), updated_at=self.now
        )

    def move_lifecycle(self) -> None:
        device = self.some_device()
        moves = MOVES[Lifecycle(device.lifecycle)] - {Lifecycle.REPLACED}
        if moves:
            to = self.chance.choice(sorted(moves))
            move_lifecycle(device=device, to=to, reason="test")

    def transfer(self) -> None:
        device = self.some_device()
        [to] = [tenant for tenant in self.tenants if tenant != device.tenant]
        product = Product.objects.get(tenant=to)
        place = Destination(tenant=to, site=self.some_site(to), product=product)
        transfer_device(device=device, to=place, reason="sold", actor=None)


def some_condition(chance: random.Random, past: PastFleet) -> Node:
    """Return a condition that some devices meet at some time."""
    device = past.some_device()
    words: dict[str, list[Any]] = {
        "uid": [device.uid, device.uid.upper()],
        "tenant": [tenant.slug for tenant in past.tenants],
        "site": [device.site.slug, device.site.slug.upper()],
        "lifecycle": ["active", "in_repair", "retired"],
        "connectivity": ["online", "offline", "suspect", "ONLINE"],
        "cause": ["last_will", "goodbye", "missed_heartbeats", "never_connected"],
        "firmware": FIRMWARES,
        "config_version": ["0", "1", "2"],
        "alarms": [0.0, 1.0, 2.0],
    }
    name = chance.choice(KNOWN)
    ref, value = FieldRef(name), chance.choice(words[name])
    if name == "alarms" or (name == "firmware" and chance.random() < 0.4):
        low, high = sorted([value, chance.choice(words[name])])
        return Between(ref, low, chance.choice([high, None]), chance.random() < 0.5)
    kind = chance.random()
    if kind < 0.15:
        return Exists(ref)
    if kind < 0.4 and name not in ("lifecycle", "connectivity", "cause"):
        return Like(ref, (str(value)[:-1], chance.choice(list(Wild))))
    return Equals(ref, value)


def some_query(chance: random.Random, past: PastFleet, depth: int = 0) -> Node:
    kind = chance.random()
    if depth > 2 or kind < 0.4:
        return some_condition(chance, past) if kind > 0.02 else All()
    inner = [some_query(chance, past, depth + 1) for _ in range(2)]
    if kind < 0.6:
        return Not(inner[0])
    return And(tuple(inner)) if kind < 0.8 else Or(tuple(inner))


def some_moment(chance: random.Random, past: PastFleet) -> datetime:
    """Return any time, often exactly at a change or just before it."""
    at = chance.choice(past.moments)
    near = [timedelta(), -timedelta(microseconds=1), timedelta(hours=3)]
    return max(past.moments[0], min(at + chance.choice(near), past.moments[-1]))
