"""Who plays in the story of the demo's past: people of acme, and its sensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from iotplatform.simulator.demo.fleet import DemoDevice
from iotplatform.simulator.demo.replay import PastDevices
from registry.choices import Lifecycle
from registry.models import Device, Product, Tenant, User

TENANT, PRODUCT = "acme", "sensor-s1"
# Whatever the size of the fleet, the story takes the same time.
MOST_WELL, MOST_TROUBLED = 40, 12


@dataclass(frozen=True)
class Cast:
    """The devices are named by their uids."""

    tenant: Tenant
    product: Product
    manager: User
    operator: User
    speakers: PastDevices
    troubled: list[str]
    well: list[str]  # healthy ones that answer at once
    now: datetime

    def ago(self, *, hours: float) -> datetime:
        return self.now - timedelta(hours=hours)

    def device(self, uid: str) -> Device:
        rows = Device.objects.select_related("product", "tenant", "gateway")
        return rows.get(uid=uid)

    def a_well_one(self, number: int) -> str:
        """Return one of them; a small fleet's have to play several parts."""
        return self.well[number % len(self.well)]

    def not_installed(self) -> str | None:
        """Return a sensor that never connected."""
        rows = Device.objects.filter(
            tenant=self.tenant, product=self.product, lifecycle=Lifecycle.PROVISIONED
        )
        return rows.order_by("pk").values_list("uid", flat=True).first()


def find_cast(
    fleet: Sequence[DemoDevice], speakers: PastDevices, *, now: datetime
) -> Cast | None:
    """Choose who plays; None if this part of the fleet has too few sensors."""
    sensors = [
        device
        for device in fleet
        if device.product == PRODUCT and device.lifecycle == Lifecycle.ACTIVE
    ]
    troubled = [device.uid for device in sensors if device.is_troubled]
    well = [device.uid for device in sensors if device.profile == "healthy"]
    if not troubled or not well:
        return None
    people = {
        user.username: user
        for user in User.objects.filter(username__endswith=f"@{TENANT}")
    }
    return Cast(
        tenant=(tenant := Tenant.objects.get(slug=TENANT)),
        product=Product.objects.get(tenant=tenant, slug=PRODUCT),
        manager=people[f"manager@{TENANT}"],
        operator=people[f"operator@{TENANT}"],
        speakers=speakers,
        troubled=troubled[:MOST_TROUBLED],
        well=well[:MOST_WELL],
        now=now,
    )
