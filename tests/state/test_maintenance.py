"""Maintenance: no alarm opens while it lasts, and what is still there does after."""

from __future__ import annotations

from datetime import datetime

import pytest

from registry.models import Device
from state.models import Alarm, HeldAlarm, MaintenanceWindow
from state.services.held import raise_held_across_tenants
from state.services.maintenance import end_for_devices, open_for_devices
from tests.factories import DeviceFactory
from tests.state.scene import say, t
from tests.state.test_alarms import client_of, raise_alarm

pytestmark = pytest.mark.django_db
URL = "/api/v1/maintenance-windows/"


def window(device: Device, begin: float, end: float) -> None:
    open_for_devices([device.pk], from_at=t(begin), until=t(end), reason="filters")


def clear(device: Device, at: datetime) -> None:
    say(device, "event", at, code="hot", severity="info", state="cleared")


def test_what_outlasts_maintenance_is_raised_when_it_ends() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    raise_alarm(device, 1, message="80 °C")
    raise_alarm(device, 2, severity="critical")

    early = raise_held_across_tenants(now=t(9))
    late = raise_held_across_tenants(now=t(10))

    alarm = Alarm.objects.get()
    assert (early, late) == (0, 1)
    assert (alarm.raised_at, alarm.last_at, alarm.count) == (t(10), t(2), 2)
    assert (alarm.severity, alarm.message) == ("critical", "80 °C")
    assert not HeldAlarm.objects.exists()


def test_what_is_cleared_under_maintenance_never_becomes_an_alarm() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    raise_alarm(device, 1)
    clear(device, t(2))

    raise_held_across_tenants(now=t(11))

    assert not Alarm.objects.exists()


def test_an_alarm_from_before_goes_on_and_clears_under_maintenance() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    window(device, 1, 10)
    raise_alarm(device, 2)
    clear(device, t(3))

    raise_held_across_tenants(now=t(11))

    assert list(Alarm.objects.values_list("state", "count")) == [("cleared", 2)]


def test_a_site_under_maintenance_silences_its_devices_and_no_others() -> None:
    device, other = DeviceFactory.create_batch(2)
    MaintenanceWindow.objects.create(
        tenant=device.tenant, site=device.site, from_at=t(0), until=t(10), reason="x"
    )
    Device.objects.filter(pk=other.pk).exclude(site=device.site).get()

    raise_alarm(device, 1)
    raise_alarm(other, 1)

    assert Alarm.objects.get().device == other
    assert HeldAlarm.objects.get().device == device


def test_a_device_taken_out_of_service_meanwhile_raises_nothing_after() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    raise_alarm(device, 1)
    Device.objects.filter(pk=device.pk).update(lifecycle="in_repair")

    assert raise_held_across_tenants(now=t(10)) == 0
    assert not Alarm.objects.exists()


def test_windows_are_opened_and_ended_for_many_devices_at_once() -> None:
    ids = [device.pk for device in DeviceFactory.create_batch(3)]

    assert open_for_devices(ids, from_at=t(0), until=t(60), reason="job 1") == 3
    assert end_for_devices(ids, reason="job 1", at=t(5)) == 3
    assert set(MaintenanceWindow.objects.values_list("until", flat=True)) == {t(5)}


def test_an_operator_announces_changes_and_removes_maintenance() -> None:
    device = DeviceFactory.create()
    client = client_of(device)
    body = {"device": device.uid, "from_at": t(0), "until": t(10), "reason": "filters"}

    made = client.post(URL, body, format="json")
    one = f"{URL}{made.json()['id']}/"
    changed = client.patch(one, {"until": t(20)}, format="json")
    listed = client.get(URL).json()["results"]
    removed = client.delete(one)

    assert (made.status_code, changed.status_code) == (201, 200), made.content
    assert (made.json()["device"], made.json()["site"]) == (device.uid, None)
    assert MaintenanceWindow.objects.count() == 0
    assert listed == [changed.json()]
    assert removed.status_code == 204


def test_maintenance_of_nothing_or_that_ends_before_it_begins_is_refused() -> None:
    device = DeviceFactory.create()
    client = client_of(device)
    body = {"from_at": t(0), "until": t(10), "reason": "x"}

    nothing = client.post(URL, body, format="json")
    backwards = client.post(
        URL, body | {"device": device.uid, "until": t(-1)}, format="json"
    )
    elsewhere = client.post(
        URL, body | {"device": DeviceFactory.create().uid}, format="json"
    )

    for answer, field in ((nothing, "device"), (backwards, "until")):
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field
    assert elsewhere.status_code == 400


def test_a_viewer_announces_nothing_and_another_tenant_sees_nothing() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    body = {"device": device.uid, "from_at": t(0), "until": t(10), "reason": "x"}
    one = f"{URL}{MaintenanceWindow.objects.get().public_id}/"
    stranger = client_of(DeviceFactory.create())

    assert client_of(device, "viewer").post(URL, body, format="json").status_code == 403
    assert client_of(device, "viewer").delete(one).status_code == 403
    assert stranger.get(URL).json()["results"] == []
    assert stranger.get(one).status_code == 404
    assert stranger.delete(one).status_code == 404
