"""The change log of alarms: what, when, why and by whom; it cannot be rewritten."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction
from django.utils.timezone import now

from iotplatform.common import tenant_scope
from registry.models import Device
from state.models import Alarm, AlarmChange
from state.services.alarms.closing import (
    CLEARED_KEPT,
    end_orphans_across_tenants,
    forget_cleared_across_tenants,
)
from state.services.tenant_transfer import reset_for_new_tenant
from tests.factories import DeviceFactory, TenantFactory
from tests.state.scene import say, t
from tests.state.test_alarms import client_of, raise_alarm

pytestmark = pytest.mark.django_db


def history(device: Device) -> list[tuple[str, str]]:
    rows = AlarmChange.objects.filter(device=device).order_by("at", "pk")
    return list(rows.values_list("move", "reason"))


def test_each_change_of_an_alarm_is_logged_with_person_time_and_reason() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0, message="80 °C")
    client = client_of(device)
    one = f"/api/v1/alarms/{Alarm.objects.get().public_id}/"

    client.post(f"{one}acknowledge/")
    # Now, like the acknowledgement: t() counts from the start of the whole run.
    say(device, "event", now(), code="hot", severity="info", state="cleared")
    answer = client.get(one).json()

    by_move = {row["move"]: row for row in answer["history"]}
    assert set(by_move) == {"raised", "acknowledged", "cleared"}
    assert by_move["raised"]["message"] == "80 °C"
    assert by_move["raised"]["text"] == "reported by the device"
    assert by_move["acknowledged"]["by"] == answer["acknowledged_by"]
    assert (answer["state"], answer["flapping"]) == ("cleared", False)


def test_the_timeline_shows_changes_of_an_alarm_with_actor_and_cause() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0, message="80 °C")
    client = client_of(device)
    client.post(f"/api/v1/alarms/{Alarm.objects.get().public_id}/acknowledge/")

    entries = client.get(f"/api/v1/devices/{device.uid}/timeline/").json()["results"]

    changes = {e["title"]: e for e in entries if e["kind"] == "alarm"}
    assert changes["Alarm hot raised"]["actor"] == "device"
    assert changes["Alarm hot raised"]["cause"] == "80 °C"
    assert changes["Alarm hot acknowledged"]["actor"] not in ("device", "platform")


@pytest.mark.parametrize(
    "role", [tenant_scope.WEB, tenant_scope.WORKER, tenant_scope.PLATFORM]
)
@pytest.mark.parametrize("change", ["UPDATE state_alarmchange SET count = 9", "DELETE"])
def test_no_process_can_rewrite_the_change_log(role: str, change: str) -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    statement = change if "SET" in change else "DELETE FROM state_alarmchange"

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant_scope.scoped(
            tenant_scope.TenantScope(role=role, tenants=(device.tenant_id,))
        ),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert history(device) == [("raised", "event")]


def test_alarms_end_when_a_device_is_retired_or_transferred() -> None:
    retired, given = DeviceFactory.create_batch(2)
    raise_alarm(retired, 0)
    raise_alarm(given, 0)
    Device.objects.filter(pk=retired.pk).update(lifecycle="retired")
    given.tenant = TenantFactory.create()

    end_orphans_across_tenants(now=t(1))
    reset_for_new_tenant(given, at=t(1))

    assert set(Alarm.objects.values_list("state", flat=True)) == {"cleared"}
    assert history(retired)[-1] == ("cleared", "out_of_service")
    assert history(given)[-1] == ("cleared", "handed_over")


def test_alarms_cleared_long_ago_are_deleted_and_open_ones_are_kept() -> None:
    device = DeviceFactory.create()
    for code in ("old", "late", "open"):
        raise_alarm(device, 0, code=code)
    for code, minute in (("old", 0), ("late", 2)):
        say(device, "event", t(minute), code=code, severity="info", state="cleared")

    forget_cleared_across_tenants(now=t(1) + CLEARED_KEPT)

    left = Alarm.objects.order_by("pk").values_list("code", flat=True)
    assert list(left) == ["late", "open"]


def test_alarms_are_filtered_by_the_time_they_were_raised_and_by_place() -> None:
    device = DeviceFactory.create()
    for minute, code in ((0, "a"), (1, "b"), (2, "c")):
        raise_alarm(device, minute, code=code)
    client = client_of(device)

    def codes(**narrowed: str) -> list[str]:
        answer = client.get("/api/v1/alarms/", narrowed)
        assert answer.status_code == 200, answer.json()
        return [alarm["code"] for alarm in answer.json()["results"]]

    assert codes(**{"from": t(1).isoformat(), "to": t(2).isoformat()}) == ["b"]
    assert codes(open="true") == [*"abc"]
    assert codes(project="nothing") == []
    assert codes(open="false") == []
    assert codes(site=device.site.slug, code="c") == ["c"]
    assert codes(region="nowhere") == []
    refused = client.get("/api/v1/alarms/?from=yesterday")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "from"


def test_pages_of_alarms_follow_the_cursor_and_keep_the_filter() -> None:
    device = DeviceFactory.create()
    for number in range(5):
        raise_alarm(device, number, code=f"c{number}")
    client, url, seen = client_of(device), "/api/v1/alarms/?limit=2&open=true", []

    while url:
        page = client.get(url).json()
        seen += [alarm["code"] for alarm in page["results"]]
        url = page["next"]

    assert seen == [f"c{number}" for number in range(5)]
