"""What a device was is kept where it changes: its place, its twin, its connectivity."""

from __future__ import annotations

import pytest

from commands.services.device_transfer import transfer_device
from registry.models import Device, PastDevice
from state.models import ConnectivityTransition, PastTwin
from tests.commands.test_device_transfer import destination
from tests.commands.units import online_unit
from tests.factories import SiteFactory

pytestmark = pytest.mark.django_db


def test_a_bulk_update_keeps_the_place_of_each_device_that_it_moves() -> None:
    unit = online_unit()
    there = SiteFactory.create(tenant=unit.device.tenant)
    old = unit.device.site

    Device.objects.update(site=there)
    Device.objects.update(site=there, name="same place")

    row = PastDevice.objects.get()
    assert (row.device, row.tenant) == (unit.device, unit.device.tenant)
    assert (row.site, row.site_slug, row.lifecycle) == (old, old.slug, "active")


def test_a_report_keeps_the_versions_before_only_if_they_change() -> None:
    unit = online_unit()
    unit.report(1, {"firmware": "1.4", "config_version": 1})
    unit.report(2, {"firmware": "1.4", "config_version": 1, "interval": 5})
    unit.report(3, {"firmware": "1.4", "config_version": 2})

    rows = PastTwin.objects.order_by("id")
    assert list(rows.values_list("firmware", "config_version")) == [
        ("", ""),
        ("1.4", "1"),
    ]


def test_a_transition_keeps_the_cause_before_it() -> None:
    unit = online_unit()
    unit.say("status", {"status": "goodbye"})

    rows = ConnectivityTransition.objects.order_by("id")
    assert list(rows.values_list("cause_from", "cause")) == [
        ("never_connected", ""),
        ("", "goodbye"),
    ]


def test_a_transfer_ends_the_past_of_the_old_owner() -> None:
    unit = online_unit()
    device, old, to = unit.device, unit.device.tenant, destination()
    unit.report(1, {"firmware": "1.4"})

    transfer_device(device=device, to=to, reason="sold", actor=None)

    places = PastDevice.objects.values_list("tenant", "lifecycle")
    assert set(places) == {(old.pk, "active"), (to.tenant.pk, "")}
    last_twin = PastTwin.objects.latest("id")
    assert (last_twin.tenant, last_twin.firmware) == (old, "1.4")
    last_move = ConnectivityTransition.objects.latest("id")
    assert (last_move.tenant, last_move.cause) == (old, "never_connected")
