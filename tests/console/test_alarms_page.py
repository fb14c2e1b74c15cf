"""Acknowledging many alarms at once on the page of alarms."""

from __future__ import annotations

from typing import Any

import pytest

from registry.choices import Role
from state.models import Alarm
from tests.console.conftest import Fleet
from tests.fleet.rows import make_alarm

pytestmark = pytest.mark.django_db

URL = "/alarms/acknowledge/"


def send(client: Any, *alarms: Alarm, **more: str) -> Any:
    ids = [str(alarm.public_id) for alarm in alarms]
    return client.post(URL, {"alarm": ids, **more}, follow=True)


def test_the_ticked_alarms_are_acknowledged_and_the_list_stays_where_it_was(
    acme: Fleet,
) -> None:
    made = [make_alarm(device, code="hot") for device in acme.devices[:3]]
    client = acme.client()

    shown = client.get("/alarms/?show=unseen").content.decode()
    done = send(client, *made[:2], show="unseen")

    assert shown.count('name="alarm"') == 3
    assert "2 alarms were acknowledged." in done.content.decode()
    assert done.request["QUERY_STRING"] == "show=unseen"
    assert done.content.decode().count('name="alarm"') == 1
    states = dict(Alarm.objects.values_list("device__uid", "state"))
    assert states == {"sh-0": "acknowledged", "sh-1": "acknowledged", "sh-2": "raised"}


def test_alarms_that_a_person_may_not_acknowledge_are_refused_and_have_no_box(
    acme: Fleet, globex: Fleet
) -> None:
    ours, theirs = make_alarm(acme.devices[0]), make_alarm(globex.devices[0])
    viewer, operator = acme.client(Role.VIEWER), acme.client()

    page = viewer.get("/alarms/").content.decode()

    assert "acknowledge-many" not in page
    assert send(viewer, ours).status_code == 403
    assert send(operator, ours, theirs).status_code == 404
    assert "Select 1 to 50 alarms" in send(operator).content.decode()
    assert {alarm.state for alarm in Alarm.objects.all()} == {"raised"}
