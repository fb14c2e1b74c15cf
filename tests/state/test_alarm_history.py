"""What happened to an alarm: when, why and by whom, and that nobody rewrites it."""

from __future__ import annotations

import pytest
from django.db import ProgrammingError, connection, transaction

from iotplatform.common import tenant_scope
from registry.models import Device
from state.models import Alarm, AlarmChange
from state.services.alarms.closing import (
    CLEARED_KEPT,
    end_orphans_across_tenants,
    forget_cleared_across_tenants,
)
from state.services.tenant_transfer import begin_anew
from tests.factories import DeviceFactory, TenantFactory
from tests.state.scene import say, t
from tests.state.test_alarms import client_of, raise_alarm

pytestmark = pytest.mark.django_db


def history(device: Device) -> list[tuple[str, str]]:
    rows = AlarmChange.objects.filter(device=device).order_by("at", "pk")
    return list(rows.values_list("move", "reason"))


def test_each_raise_clear_and_acknowledgement_is_kept_with_who_when_and_why() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0, message="80 °C")
    client = client_of(device)
    one = f"/api/v1/alarms/{Alarm.objects.get().public_id}/"

    client.post(f"{one}acknowledge/")
    say(device, "event", t(1), code="hot", severity="info", state="cleared")
    told = client.get(one).json()

    by_move = {row["move"]: row for row in told["history"]}
    assert set(by_move) == {"raised", "acknowledged", "cleared"}
    assert by_move["raised"]["message"] == "80 °C"
    assert by_move["raised"]["text"] == "the device says so"
    assert by_move["acknowledged"]["by"] == told["acknowledged_by"]
    assert (told["state"], told["flapping"]) == ("cleared", False)


def test_the_timeline_tells_an_alarms_turns_with_who_and_why() -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0, message="80 °C")
    client = client_of(device)
    client.post(f"/api/v1/alarms/{Alarm.objects.get().public_id}/acknowledge/")

    entries = client.get(f"/api/v1/devices/{device.uid}/timeline/").json()["results"]

    told = {e["title"]: e for e in entries if e["kind"] == "alarm"}
    assert told["Alarm hot raised"]["actor"] == "device"
    assert told["Alarm hot raised"]["cause"] == "80 °C"
    assert told["Alarm hot acknowledged"]["actor"] not in ("device", "platform")


@pytest.mark.parametrize(
    "role", [tenant_scope.WEB, tenant_scope.WORKER, tenant_scope.PLATFORM]
)
@pytest.mark.parametrize("change", ["UPDATE state_alarmchange SET count = 9", "DELETE"])
def test_no_process_rewrites_history(role: str, change: str) -> None:
    device = DeviceFactory.create()
    raise_alarm(device, 0)
    statement = change if "SET" in change else "DELETE FROM state_alarmchange"

    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        tenant_scope.scoped(tenant_scope.Scope(role=role, tenants=(device.tenant_id,))),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert history(device) == [("raised", "event")]


def test_what_leaves_service_or_goes_to_another_owner_complains_no_more() -> None:
    retired, given = DeviceFactory.create_batch(2)
    raise_alarm(retired, 0)
    raise_alarm(given, 0)
    Device.objects.filter(pk=retired.pk).update(lifecycle="retired")
    given.tenant = TenantFactory.create()

    end_orphans_across_tenants(now=t(1))
    begin_anew(given, at=t(1))

    assert set(Alarm.objects.values_list("state", flat=True)) == {"cleared"}
    assert history(retired)[-1] == ("cleared", "out_of_service")
    assert history(given)[-1] == ("cleared", "handed_over")


def test_alarms_that_were_cleared_long_ago_are_forgotten_and_open_ones_kept() -> None:
    device = DeviceFactory.create()
    for code in ("old", "late", "open"):
        raise_alarm(device, 0, code=code)
    for code, minute in (("old", 0), ("late", 2)):
        say(device, "event", t(minute), code=code, severity="info", state="cleared")

    forget_cleared_across_tenants(now=t(1) + CLEARED_KEPT)

    left = Alarm.objects.order_by("pk").values_list("code", flat=True)
    assert list(left) == ["late", "open"]


def test_alarms_are_narrowed_by_when_they_were_raised_and_by_where() -> None:
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


def test_pages_of_alarms_follow_their_cursor_with_the_filter_kept() -> None:
    device = DeviceFactory.create()
    for number in range(5):
        raise_alarm(device, number, code=f"c{number}")
    client, url, seen = client_of(device), "/api/v1/alarms/?limit=2&open=true", []

    while url:
        page = client.get(url).json()
        seen += [alarm["code"] for alarm in page["results"]]
        url = page["next"]

    assert seen == [f"c{number}" for number in range(5)]
