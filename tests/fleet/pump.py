"""One device with a known past, and a member of its tenant at the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from rest_framework.test import APIClient

from registry.models import Device, Membership, MembershipLimit, Site
from registry.services.devices import update_device
from registry.services.lifecycle import move_lifecycle
from tests.factories import DeviceFactory, MembershipFactory, SiteFactory
from tests.state.scene import be_born, say

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC)
FIRST, THEN, LATER = NOW - 48 * HOUR, NOW - 24 * HOUR, NOW - 12 * HOUR
NEXT = LATER + timedelta(seconds=1)
SEARCH, CHANGES = "fleet/search/", "fleet/changes/"


class Reader:
    """A member of a tenant, at the API."""

    def __init__(self, device: Device, *, limited_to: Site | None = None) -> None:
        member: Membership = MembershipFactory.create(tenant=device.tenant)
        if limited_to is not None:
            MembershipLimit.objects.create(
                membership=member, tenant=device.tenant, site=limited_to
            )
        self.client = APIClient()
        self.client.force_authenticate(member.user)

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = self.client.get(f"/api/v1/{path}", query)
        assert answer.status_code == status, answer.content
        return answer.json()

    def uids_at(self, at: datetime, q: str = "*") -> list[str]:
        found = self.get(SEARCH, q=q, as_of=at.isoformat())["results"]
        return [row["uid"] for row in found]


def report(device: Device, at: datetime, firmware: str, version: int) -> None:
    reported = {"firmware": firmware, "config_version": 7}
    say(device, "reported", at, version=version, reported=reported)


def move(device: Device, slug: str, at: datetime) -> Site:
    site: Site = SiteFactory.create(tenant=device.tenant, slug=slug)
    with time_machine.travel(at, tick=False):
        update_device(device, changes={"site": site})
    return site


def change_everything(device: Device) -> None:
    """Let everything that a search of the past knows change, most at ``LATER``."""
    move(device, "hall", LATER)
    with time_machine.travel(NEXT, tick=False):
        move_lifecycle(device=device, to="in_repair")
    report(device, LATER, "2.0", 2)
    say(device, "event", LATER, code="hot", severity="critical", state="cleared")
    say(device, "status", LATER, status="goodbye")


def make_pump() -> Device:
    """Make a device that came online, reported and raised an alarm before ``THEN``."""
    with time_machine.travel(FIRST, tick=False):
        made: Device = DeviceFactory.create(uid="pump", site__slug="dock")
    be_born(made, FIRST)
    report(made, FIRST, "1.4.2", 1)
    alarm = {"code": "hot", "severity": "critical", "state": "raised"}
    say(made, "event", FIRST, **alarm)
    return made
