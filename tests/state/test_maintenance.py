"""Maintenance holds alarms back; those still present are raised after it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from registry.models import AuditEntry, Device, Membership, MembershipLimit
from state.models import Alarm, HeldAlarm, MaintenancePlace, MaintenanceWindow
from state.services.alarms.held_back import raise_held_back_across_tenants
from state.services.maintenance import (
    KEPT,
    change_window,
    delete_window,
    end_for_devices,
    end_window,
    forget_windows_across_tenants,
    open_for_devices,
    settle_places_across_tenants,
)
from tests.factories import DeviceFactory, SiteFactory
from tests.state.scene import announce, say, t
from tests.state.test_alarms import client_of, raise_alarm

pytestmark = pytest.mark.django_db
URL = "/api/v1/maintenance-windows/"


def window(device: Device, begin: float, end: float) -> None:
    open_for_devices([device.pk], from_at=t(begin), until=t(end), reason="filters")


def clear(device: Device, at: datetime) -> None:
    say(device, "event", at, code="hot", severity="info", state="cleared")


def test_an_alarm_still_present_after_maintenance_is_raised_when_it_ends() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    raise_alarm(device, 1, message="80 °C")
    raise_alarm(device, 2, severity="critical")

    early = raise_held_back_across_tenants(now=t(9))
    late = raise_held_back_across_tenants(now=t(10))

    alarm = Alarm.objects.get()
    assert (early, late) == (0, 1)
    assert (alarm.raised_at, alarm.last_at, alarm.count) == (t(10), t(2), 2)
    assert (alarm.severity, alarm.message) == ("critical", "80 °C")
    assert not HeldAlarm.objects.exists()


def test_an_alarm_cleared_during_maintenance_is_never_raised() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    raise_alarm(device, 1)
    clear(device, t(2))

    raise_held_back_across_tenants(now=t(11))

    assert not Alarm.objects.exists()


def test_an_alarm_raised_before_maintenance_stays_and_clears_during_it() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    window(device, 1, 10)
    raise_alarm(device, 2)
    clear(device, t(3))

    raise_held_back_across_tenants(now=t(11))

    assert list(Alarm.objects.values_list("state", "count")) == [("cleared", 2)]


def test_maintenance_of_a_site_holds_back_alarms_of_its_devices_only() -> None:
    device, other = DeviceFactory.create_batch(2)
    announce(device.site, begin=t(0), end=t(10))
    Device.objects.filter(pk=other.pk).exclude(site=device.site).get()

    raise_alarm(device, 1)
    raise_alarm(other, 1)

    assert Alarm.objects.get().device == other
    assert HeldAlarm.objects.get().device == device


def test_a_device_moved_out_of_a_site_in_maintenance_raises_alarms_again() -> None:
    device = DeviceFactory.create()
    quiet = SiteFactory.create(tenant=device.tenant)
    announce(device.site, begin=t(0), end=t(600))
    raise_alarm(device, 1)
    Device.objects.filter(pk=device.pk).update(site=quiet)
    raise_held_back_across_tenants(now=t(6))

    assert Alarm.objects.get().device == device


def test_a_device_retired_during_maintenance_raises_no_alarm_after_it() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    raise_alarm(device, 1)
    Device.objects.filter(pk=device.pk).update(lifecycle="in_repair")

    assert raise_held_back_across_tenants(now=t(10)) == 0
    assert not Alarm.objects.exists()


def test_windows_are_opened_and_ended_for_many_devices_at_once() -> None:
    ids = [device.pk for device in DeviceFactory.create_batch(3)]

    assert open_for_devices(ids, from_at=t(0), until=t(60), reason="job 1") == 3
    assert end_for_devices(ids, reason="job 1", at=t(5)) == 3
    assert set(MaintenancePlace.objects.values_list("until", flat=True)) == {t(5)}
    assert set(MaintenanceWindow.objects.values_list("until", flat=True)) == {t(5)}


def test_an_operator_announces_changes_and_deletes_maintenance() -> None:
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


def test_maintenance_without_places_or_with_a_wrong_end_is_refused() -> None:
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


def test_a_viewer_cannot_announce_maintenance_and_another_tenant_cannot_see_it() -> (
    None
):
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


def test_one_window_has_many_devices_or_a_list_of_sites() -> None:
    device = DeviceFactory.create()
    other = DeviceFactory.create(tenant=device.tenant)
    client = client_of(device)
    span = {"from_at": t(0), "until": t(10), "reason": "x"}
    uids, slugs = [device.uid, other.uid], [device.site.slug, other.site.slug]

    of_devices = client.post(URL, span | {"devices": uids}, format="json")
    of_sites = client.post(URL, span | {"sites": slugs}, format="json")
    missing = client.post(URL, span | {"devices": [*uids, "no-1"]}, format="json")

    assert of_devices.status_code == 201, of_devices.content
    answer = of_devices.json()
    assert (answer["devices"], answer["device_count"], answer["device"]) == (
        uids,
        2,
        None,
    )
    assert (of_sites.json()["sites"], of_sites.json()["site_count"]) == (slugs, 2)
    assert MaintenanceWindow.objects.count() == 2
    assert missing.status_code == 400
    assert missing.json()["errors"] == [
        {"field": "devices", "message": "There is no device no-1."}
    ]
    found = client.get(f"{URL}?device={other.uid}").json()["results"]
    assert [row["id"] for row in found] == [answer["id"]]
    for place in (device, other):
        raise_alarm(place, 1)
    assert HeldAlarm.objects.count() == 2


def test_ending_a_future_window_deletes_it_and_one_in_force_ends_now() -> None:
    device = DeviceFactory.create()
    client, now = client_of(device), timezone.now()
    hour = timedelta(hours=1)
    coming = announce(device, begin=now + hour, end=now + 2 * hour)
    again = announce(device, begin=now + hour, end=now + 2 * hour)
    running = announce(device, begin=now - hour, end=now + hour)

    called_off = client.post(f"{URL}{coming.public_id}/end/")
    deleted = client.delete(f"{URL}{again.public_id}/")
    ended = client.post(f"{URL}{running.public_id}/end/")

    assert (called_off.status_code, deleted.status_code) == (204, 204)
    assert ended.status_code == 200
    assert [w.pk for w in MaintenanceWindow.objects.all()] == [running.pk]
    running.refresh_from_db()
    assert now <= running.until <= timezone.now()
    assert client.post(f"{URL}{running.public_id}/end/").status_code == 200


def test_with_overlapping_windows_alarms_are_raised_after_the_last_one() -> None:
    device = DeviceFactory.create()
    window(device, 0, 5)
    longer = announce(device, begin=t(0), end=t(20))
    announce(device.site, begin=t(4), end=t(12))
    raise_alarm(device, 1)

    assert raise_held_back_across_tenants(now=t(5)) == 0
    change_window(longer, until=t(8))
    assert raise_held_back_across_tenants(now=t(8)) == 0
    assert raise_held_back_across_tenants(now=t(12)) == 1


@pytest.mark.parametrize("how", ["end", "change", "delete"])
def test_alarms_are_raised_at_once_when_maintenance_ends_early(how: str) -> None:
    device = DeviceFactory.create()
    made = announce(device.site, begin=t(0), end=t(60))
    raise_alarm(device, 1)

    if how == "end":
        end_window(made, at=t(2))
    elif how == "change":
        change_window(made, until=t(2))
    else:
        delete_window(made)

    assert raise_held_back_across_tenants(now=t(2)) == 1


def test_alarms_are_held_back_longer_when_maintenance_is_extended() -> None:
    device = DeviceFactory.create()
    made = announce(device, begin=t(0), end=t(5))
    raise_alarm(device, 1)

    change_window(made, until=t(30))

    assert raise_held_back_across_tenants(now=t(6)) == 0
    assert raise_held_back_across_tenants(now=t(30)) == 1


def test_a_member_of_one_site_sees_only_its_part_of_a_window_and_cannot_end_it() -> (
    None
):
    device = DeviceFactory.create()
    other = DeviceFactory.create(tenant=device.tenant)
    made = announce(device, other, begin=t(0), end=t(10))
    client = client_of(device)
    MembershipLimit.objects.create(
        membership=Membership.objects.get(tenant=device.tenant),
        tenant=device.tenant,
        site=device.site,
    )
    one = f"{URL}{made.public_id}/"

    seen = client.get(one).json()

    assert (seen["devices"], seen["device_count"]) == ([device.uid], 1)
    assert client.post(f"{one}end/").status_code == 403
    assert client.delete(one).status_code == 403
    assert client.patch(one, {"reason": "y"}, format="json").status_code == 403


def test_devices_of_a_job_join_and_leave_one_window() -> None:
    first = DeviceFactory.create()
    second = DeviceFactory.create(tenant=first.tenant)
    how = {"reason": "job blue", "origin": "job:1"}

    open_for_devices([first.pk], from_at=t(0), until=t(5), **how)
    open_for_devices([second.pk], from_at=t(1), until=t(6), **how)
    end_for_devices([first.pk], at=t(2), **how)

    one = MaintenanceWindow.objects.get()
    assert (one.from_at, one.until) == (t(0), t(6))
    ends = MaintenancePlace.objects.order_by("device").values_list("until", flat=True)
    assert list(ends) == [t(2), t(6)]


def test_a_place_is_in_force_from_its_begin_to_its_end_by_the_clock() -> None:
    device, now = DeviceFactory.create(), timezone.now()
    begin, end = now + timedelta(hours=1), now + timedelta(hours=2)
    open_for_devices([device.pk], from_at=begin, until=end, reason="filters")

    seen = []
    for minutes in (30, 90, 91, 150):
        moved = settle_places_across_tenants(now=now + timedelta(minutes=minutes))
        seen.append((moved, MaintenancePlace.objects.get().is_in_force))

    assert seen == [(0, False), (1, True), (0, True), (1, False)]
    # Time is no person, so the audit log has nothing to say of it.
    logged = AuditEntry.objects.filter(kind="maintenance_place")
    assert not logged.filter(action="changed").exists()


def test_work_that_begins_or_ends_now_is_in_force_or_not_at_once() -> None:
    device, now = DeviceFactory.create(), timezone.now()
    begin, end = now - timedelta(hours=1), now + timedelta(hours=1)

    open_for_devices([device.pk], from_at=begin, until=end, reason="filters")
    begun = MaintenancePlace.objects.get().is_in_force
    end_for_devices([device.pk], reason="filters", at=now)

    assert begun
    assert not MaintenancePlace.objects.get().is_in_force


def test_windows_that_ended_long_ago_are_deleted() -> None:
    device = DeviceFactory.create()
    window(device, 0, 10)
    window(device, 0, 30)

    assert forget_windows_across_tenants(now=t(20) + KEPT) == 1
    assert MaintenancePlace.objects.count() == 1
