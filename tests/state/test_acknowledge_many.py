"""Many alarms are acknowledged at once: all of them or none."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from registry.models import Device
from state.models import Alarm, AlarmChange
from tests.factories import DeviceFactory
from tests.state.scene import say, t
from tests.state.test_alarms import client_of, raise_alarm

pytestmark = pytest.mark.django_db

URL = "/api/v1/alarms/acknowledge/"


@pytest.fixture
def device() -> Device:
    """A device with one cleared and three open alarms."""
    row: Device = DeviceFactory.create()
    for code in ("gone", "a", "b", "c"):
        raise_alarm(row, 0, code=code)
    say(row, "event", t(1), code="gone", severity="info", state="cleared")
    return row


def ids_of(*codes: str) -> list[str]:
    rows = Alarm.objects.filter(code__in=codes).order_by("code")
    return [str(row.public_id) for row in rows]


def states() -> dict[str, str]:
    return dict(Alarm.objects.values_list("code", "state"))


def send(client: Any, ids: Any) -> Any:
    return client.post(URL, {"ids": ids}, format="json")


def test_the_first_acknowledgement_stays_and_a_cleared_alarm_is_left_alone(
    device: Device,
) -> None:
    first, second = client_of(device), client_of(device)
    send(first, ids_of("a"))

    answer = send(second, ids_of("a", "b", "gone"))

    assert answer.status_code == 200
    assert answer.json()["acknowledged"] == 1
    shown = {row["code"]: row["state"] for row in answer.json()["alarms"]}
    expected = {"a": "acknowledged", "b": "acknowledged", "gone": "cleared"}
    assert shown == expected
    assert states() == expected | {"c": "raised"}
    a, b = (Alarm.objects.get(code=code) for code in "ab")
    assert a.acknowledged_by != b.acknowledged_by
    logged = AlarmChange.objects.filter(move="acknowledged")
    assert sorted(logged.values_list("code", flat=True)) == ["a", "b"]


def test_one_that_the_caller_may_not_see_or_change_leaves_all_as_they_are(
    device: Device,
) -> None:
    stranger = DeviceFactory.create()
    raise_alarm(stranger, 0, code="theirs")
    client = client_of(device)

    for other in (*ids_of("theirs"), str(uuid4())):
        assert send(client, [*ids_of("a"), other]).status_code == 404
    assert send(client_of(device, "viewer"), ids_of("a")).status_code == 403
    for wrong in ([], ["x"], "a", None, [str(uuid4())] * 1_001):
        answer = send(client, wrong)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"].startswith("ids")
    assert states()["a"] == "raised"


def test_more_alarms_need_no_more_queries(
    device: Device, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        raise_alarm(device, 2, code=f"more-{number}")
    client = client_of(device)
    every = ids_of(*states())

    with django_assert_max_num_queries(16):
        answer = send(client, every)

    assert answer.json()["acknowledged"] == 33
