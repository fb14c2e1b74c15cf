"""What was changed before an incident, from everything that the platform records."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from console.models import Incident
from console.selectors.incident_changes import find_changes
from console.selectors.incidents import list_member_ids
from registry.models import Device
from registry.services.places import update_site
from state.models import MaintenancePlace, MaintenanceWindow, TwinChange
from tests.acting import acting
from tests.console.test_incident_api import outage
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def changes_of(incident: Incident) -> list[dict[str, Any]]:
    return find_changes(incident, list_member_ids(incident, most=100))


def report_firmware(incident: Incident, devices: Any, *, minutes: float) -> None:
    for device in devices:
        TwinChange.objects.create(
            tenant=incident.tenant,
            device=device,
            at=incident.first_evidence_at - timedelta(minutes=minutes),
            side="reported",
            version=2,
            changes={"firmware": {"from": "1.0", "to": "2.0"}},
        )


def test_a_firmware_that_only_the_affected_devices_got_is_named() -> None:
    incident = outage()
    ids = list_member_ids(incident, most=100)
    report_firmware(incident, Device.objects.filter(pk__in=ids), minutes=10)

    [found] = changes_of(incident)

    assert (found["kind"], found["share"]) == ("firmware", 1.0)
    assert found["text"] == "the firmware became 2.0"
    assert found["object"] == {"kind": "firmware", "id": "2.0", "name": "2.0"}
    assert found["at"] == incident.first_evidence_at - timedelta(minutes=10)


def test_a_change_of_one_device_or_of_everybody_long_ago_is_not() -> None:
    incident = outage()
    ids = list_member_ids(incident, most=100)
    report_firmware(incident, Device.objects.filter(pk=ids[0]), minutes=1)
    report_firmware(incident, Device.objects.all(), minutes=20 * 60)

    assert changes_of(incident) == []


def test_maintenance_of_the_site_and_an_edit_of_it_are_named() -> None:
    incident = outage()
    device = Device.objects.get(pk=list_member_ids(incident, most=1)[0])
    assert device.site is not None
    begin = incident.first_evidence_at - timedelta(minutes=30)
    span = {"tenant": incident.tenant, "from_at": begin}
    span["until"] = begin + timedelta(minutes=5)
    window = MaintenanceWindow.objects.create(reason="Rewiring", **span)
    MaintenancePlace.objects.create(window=window, site=device.site, **span)
    with acting(MembershipFactory.create(tenant=incident.tenant).user):
        update_site(device.site, region="North")
    Incident.objects.update(first_evidence_at=incident.opened_at + timedelta(hours=1))
    incident.refresh_from_db()

    found = changes_of(incident)

    assert [row["kind"] for row in found] == ["site", "maintenance"]
    assert all(row["share"] == 1.0 for row in found)
