"""The maintenance page: windows for devices or sites are announced and ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from registry.choices import Role
from registry.models import Device
from state.models import MaintenanceWindow
from state.selectors.timeline import Stretch, timeline_entries
from tests.console.conftest import Fleet
from tests.state.scene import announce

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def window(device: Device, begin: timedelta, end: timedelta) -> MaintenanceWindow:
    now = timezone.now()
    return announce(device, begin=now + begin, end=now + end, reason="new filters")


def given(**values: Any) -> dict[str, Any]:
    soon = timezone.now() + HOUR
    return {"until": f"{soon:%Y-%m-%dT%H:%M}", "reason": "new filters"} | values


def test_maintenance_of_a_device_is_announced_shown_on_its_page_and_ended(
    acme: Fleet,
) -> None:
    client = acme.client(Role.OPERATOR)

    assert client.post("/maintenance/", given(device="sh-0")).status_code == 302
    made = MaintenanceWindow.objects.get()

    assert "1 active window" in client.get("/maintenance/").content.decode()
    assert "new filters" in client.get("/devices/sh-0/now/").content.decode()
    assert "new filters" not in client.get("/devices/sh-1/now/").content.decode()
    ended = client.post(f"/maintenance/{made.public_id}/end/", {"back": "device"})
    assert ended["Location"] == "/devices/sh-0/"
    made.refresh_from_db()
    assert made.until <= timezone.now()
    text = client.get("/devices/sh-0/").content.decode()
    assert "maintenance begins" in text
    assert "maintenance ends" in text


def test_maintenance_of_a_site_is_shown_on_the_pages_of_its_devices(
    acme: Fleet,
) -> None:
    client = acme.client(Role.OPERATOR)

    client.post("/maintenance/", given(site="shanghai-01"))

    assert "new filters" in client.get("/devices/sh-1/now/").content.decode()
    assert "new filters" not in client.get("/devices/mu-0/now/").content.decode()


def test_a_planned_window_is_cancelled(acme: Fleet) -> None:
    made = window(acme.devices[0], HOUR, 2 * HOUR)

    acme.client().post(f"/maintenance/{made.public_id}/end/")

    assert not MaintenanceWindow.objects.exists()


def test_a_future_end_of_maintenance_is_not_in_the_history(acme: Fleet) -> None:
    window(acme.devices[0], -HOUR, HOUR)

    stretch = Stretch(timezone.now() + 2 * HOUR, 50)
    entries = timeline_entries(acme.devices[0], stretch)

    titles = [row["title"] for row in entries if row["kind"] == "maintenance"]
    assert titles == ["maintenance begins"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"device": "gx-0"}, "device"),
        ({"site": "nowhere"}, "site"),
        ({"device": "sh-0", "site": "shanghai-01"}, "device"),
        ({}, "device"),
        ({"device": "sh-0", "until": "2020-01-01T00:00"}, "until"),
        ({"device": "sh-0", "until": "soon"}, "until"),
        ({"device": "sh-0", "reason": ""}, "reason"),
    ],
)
def test_an_invalid_window_is_refused_at_its_field(
    acme: Fleet, globex: Fleet, wrong: dict[str, str], field: str
) -> None:
    answer = acme.client().post("/maintenance/", given(**wrong))

    assert answer.status_code == 422
    assert f'id="id_{field}-error"' in answer.content.decode()
    assert not MaintenanceWindow.objects.exists()


def test_a_viewer_cannot_announce_or_end_maintenance(acme: Fleet) -> None:
    made = window(acme.devices[0], -HOUR, HOUR)
    client = acme.client(Role.VIEWER)

    assert client.post("/maintenance/", given(device="sh-0")).status_code == 403
    assert client.post(f"/maintenance/{made.public_id}/end/").status_code == 403
    assert "Announce" not in client.get("/maintenance/").content.decode()


def test_one_window_can_cover_several_devices(acme: Fleet) -> None:
    client = acme.client(Role.OPERATOR)

    client.post("/maintenance/", given(device="sh-0, sh-1 sh-2"))
    listed = client.get("/maintenance/").content.decode()
    refused = client.post("/maintenance/", given(device="sh-0, nobody"))

    assert MaintenanceWindow.objects.count() == 1
    assert "3 devices" in listed
    assert "Shared window" in client.get("/devices/sh-1/").content.decode()
    assert refused.status_code == 422
    assert "There is no device nobody" in refused.content.decode()
