"""Alarms: events raise and clear them, one open per code; people acknowledge them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from registry.models import Device
from state.models import Alarm
from state.selectors import get_state
from tests.factories import DeviceFactory, MembershipFactory, TenantFactory
from tests.state.scene import arrive, say, t, uplink

pytestmark = pytest.mark.django_db


def raise_alarm(device: Device, minute: float, **body: object) -> None:
    event = {"code": "hot", "severity": "warning", "state": "raised"} | body
    say(device, "event", t(minute), **event)


def client_of(device: Device, role: str = "operator") -> APIClient:
    """Return a client of a person in the device's tenant."""
    client = APIClient()
    member = MembershipFactory.create(tenant=device.tenant, role=role)
    client.force_authenticate(member.user)
    return client


def test_an_open_alarm_that_is_raised_again_is_counted_and_not_opened_twice() -> None:
    device = DeviceFactory.create()

    raise_alarm(device, 0, message="80 °C")
    raise_alarm(device, 1, severity="critical")
    say(device, "event", t(2), code="hot", severity="info", state="cleared")
    raise_alarm(device, 3)

    first, second = Alarm.objects.order_by("pk")
    assert (first.count, first.severity, first.state) == (2, "critical", "cleared")
    assert (first.raised_at, first.last_at, first.cleared_at) == (t(0), t(1), t(2))
    assert first.message == "80 °C"
    assert (second.count, second.state) == (1, "raised")


def test_a_batch_that_raises_clears_and_raises_again_logs_each_change() -> None:
    device = DeviceFactory.create()
    body: dict[str, Any] = {"code": "hot", "severity": "info"}

    arrive(
        uplink(device, "event", t(0), state="cleared", **body),
        uplink(device, "event", t(1), state="raised", **body),
        uplink(device, "event", t(2), state="raised", **body),
        uplink(device, "event", t(3), state="cleared", **body),
        uplink(device, "event", t(4), state="raised", **body),
    )

    first, second = Alarm.objects.order_by("pk")
    assert (first.state, first.count, first.cleared_at) == ("cleared", 2, t(3))
    assert (second.state, second.count) == ("raised", 1)


@pytest.mark.parametrize("lifecycle", ["provisioned", "in_repair"])
def test_a_device_out_of_service_raises_no_alarm_but_may_clear_one(
    lifecycle: str,
) -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    Device.objects.filter(pk=device.pk).update(lifecycle=lifecycle)

    raise_alarm(device, 1, code="other")
    say(device, "event", t(2), code="hot", severity="info", state="cleared")

    assert list(Alarm.objects.values_list("code", "state")) == [("hot", "cleared")]


def test_an_operator_acknowledges_an_alarm_and_a_viewer_cannot() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    path = f"/api/v1/alarms/{Alarm.objects.get().public_id}/acknowledge/"

    assert client_of(device, "viewer").post(path).status_code == 403
    answer = client_of(device).post(path)

    assert answer.status_code == 200
    assert answer.json()["state"] == "acknowledged"
    assert answer.json()["device"] == device.uid
    by = answer.json()["acknowledged_by"]
    assert client_of(device).post(path).json()["acknowledged_by"] == by
    assert get_state(device)["alarms"][0]["state"] == "acknowledged"
    say(device, "event", t(2), code="hot", severity="info", state="cleared")
    assert client_of(device).post(path).status_code == 409


def test_alarms_of_another_tenant_are_not_found() -> None:
    device, stranger = DeviceFactory.create(), DeviceFactory.create()
    raise_alarm(device, 0)
    raise_alarm(stranger, 0)
    client = client_of(device)
    theirs = Alarm.objects.get(device=stranger).public_id

    listed = client.get("/api/v1/alarms/").json()["results"]

    assert [alarm["device"] for alarm in listed] == [device.uid]
    for alarm_id in (theirs, uuid4(), "x"):
        path = f"/api/v1/alarms/{alarm_id}/acknowledge/"
        assert client.post(path).status_code == 404
    assert client.get(f"/api/v1/devices/{stranger.uid}/state/").status_code == 404
    nobody = APIClient()
    nobody.force_authenticate(MembershipFactory.create(tenant=TenantFactory()).user)
    assert nobody.get("/api/v1/alarms/").json()["results"] == []


def test_alarms_are_filtered_by_device_state_and_severity() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    raise_alarm(device, 1, code="cold", severity="critical")
    client = client_of(device)

    def codes(query: str) -> list[str]:
        answer = client.get(f"/api/v1/alarms/?{query}")
        assert answer.status_code == 200, answer.json()
        return [alarm["code"] for alarm in answer.json()["results"]]

    assert codes("severity=critical") == ["cold"]
    assert codes(f"device={device.uid}&state=raised&state=cleared") == ["hot", "cold"]
    assert codes("device=nobody") == []
    refused = client.get("/api/v1/alarms/?state=loud")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "state"


@pytest.mark.parametrize("off", [-9, 9])
def test_the_times_of_an_alarm_are_those_of_arrival_not_of_the_devices_clock(
    off: float,
) -> None:
    device = DeviceFactory.create()
    event = {"code": "hot", "severity": "warning"}
    wrong, right = (int(t(minute).timestamp() * 1_000) for minute in (off, 1))

    say(device, "event", t(0), state="raised", ts=wrong, **event)
    say(device, "event", t(1), state="cleared", ts=right, **event)

    alarm = Alarm.objects.get()
    assert (alarm.raised_at, alarm.last_at, alarm.cleared_at) == (t(0), t(0), t(1))
