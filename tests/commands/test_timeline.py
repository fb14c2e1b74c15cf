"""A device's merged timeline contains every entry once, for any page size."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from commands.models import Command, CommandEvent
from commands.selectors.timeline import get_merged_timeline
from registry.models import Device
from registry.services.lifecycle import move_lifecycle
from state.models import Alarm
from state.services.twin import merge_desired
from tests.acting import acting
from tests.factories import DeviceFactory, MembershipFactory, UserFactory
from tests.fleet.rows import make_alarm, make_command

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return NOW - timedelta(minutes=minutes)


def add_events(command: Command, moment: datetime, count: int) -> None:
    for number in range(count):
        CommandEvent.objects.create(
            tenant=command.tenant,
            command=command,
            device=command.device,
            at=moment,
            status="queued",
            actor="platform",
            cause=str(number),
        )


def walk(device: Device, limit: int) -> list[dict[str, Any]]:
    entries, before = [], NOW
    while before is not None:
        page, following = get_merged_timeline(device, before=before, limit=limit)
        entries += page
        before = following  # type: ignore[assignment]
    return entries


@pytest.fixture
def device() -> Device:
    """A device with many entries at the same instants, and with open alarms."""
    device: Device = DeviceFactory.create()
    command = make_command(device)
    for minutes, count in ((1, 1), (5, 4), (9, 2), (60, 3)):
        add_events(command, at(minutes), count)
    old = {"raised_at": at(300), "last_at": at(2), "count": 99}
    make_alarm(device, code="hot", **old)
    make_alarm(device, code="dry", **old)
    ended = {"last_at": at(50), "acknowledged_at": at(40), "cleared_at": at(30)}
    make_alarm(device, code="door", raised_at=at(50), state="cleared", **ended)
    return device


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7, 100])
def test_pages_together_hold_every_entry_once_and_in_order(
    device: Device, limit: int
) -> None:
    entries = walk(device, limit)

    assert len(entries) == CommandEvent.objects.count() + Alarm.objects.count() + 2
    moments = [entry["at"] for entry in entries]
    assert moments == sorted(moments, reverse=True)
    assert {entry["title"] for entry in entries if entry["kind"] == "alarm"} == {
        *("Alarm hot raised", "Alarm dry raised", "Alarm door raised"),
        *("Alarm door acknowledged", "Alarm door cleared"),
    }


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_of_the_api_hold_so_many_entries_and_lead_back(
    device: Device, limit: int
) -> None:
    api = APIClient()
    api.force_authenticate(MembershipFactory.create(tenant=device.tenant).user)
    url = f"/api/v1/devices/{device.uid}/timeline/?limit={limit}"
    before = timezone.now().isoformat().replace("+00:00", "Z")

    pages = [api.get(f"{url}&before={before}").json()]
    while pages[-1]["next"]:
        pages.append(api.get(pages[-1]["next"]).json())

    sizes = [len(page["results"]) for page in pages]
    assert set(sizes[:-1]) <= {limit}
    assert sizes[-1] <= limit
    shown = [entry for page in pages for entry in page["results"]]
    whole = api.get(url.replace(f"={limit}", "=1000")).json()
    assert shown == whole["results"]
    assert (pages[0]["previous"], whole["previous"]) == (None, None)
    for earlier, page in pairwise(pages):
        back = api.get(page["previous"]).json()
        assert back["results"] == earlier["results"]
        assert api.get(back["next"]).json() == page
    assert all(api.get(f"{url}&cursor={odd}").status_code == 400 for odd in ("x", "é"))


def test_changes_by_people_are_in_the_timeline_once() -> None:
    device = DeviceFactory.create()
    person = UserFactory.create(username="paul@acme")
    with acting(person, door="rest"):
        Device.objects.filter(pk=device.pk).update(name="valve", tags=["winter"])
        move_lifecycle(device=device, to="in_repair", reason="wet", actor=person)
        merge_desired(device.pk, {"interval": 5}, at=timezone.now())

    entries, _ = get_merged_timeline(
        device, before=timezone.now() + timedelta(seconds=1), limit=50
    )

    shown = [(entry["kind"], entry["title"], entry["actor"]) for entry in entries]
    assert sorted(shown) == [
        ("desired", "Desired interval", "platform"),
        ("lifecycle", "active → in_repair", "paul@acme"),
        ("registry", "name, tags changed", "paul@acme"),
    ]
    (edit,) = [entry for entry in entries if entry["kind"] == "registry"]
    assert edit["detail"]["before"] == {"name": "", "tags": []}
    assert edit["detail"]["after"] == {"name": "valve", "tags": ["winter"]}
