"""``fleet/changes/``: who joined, who left, and why."""

from __future__ import annotations

import random
from typing import Any

import pytest
import time_machine

from fleet.backends.documents import rfc3339
from fleet.selectors.changes import find_changes
from registry.models import Device
from tests.factories import DeviceFactory
from tests.fleet.past import PastFleet, some_moment, some_query
from tests.fleet.printer import print_query
from tests.fleet.pump import (
    CHANGES,
    HOUR,
    LATER,
    NEXT,
    NOW,
    THEN,
    Reader,
    change_everything,
    make_pump,
)
from tests.fleet.reference import matches

pytestmark = pytest.mark.django_db


@pytest.fixture
def device() -> Device:
    return make_pump()


@pytest.fixture
def reader(device: Device) -> Reader:
    return Reader(device)


@pytest.mark.parametrize(
    ("q", "reason"),
    [
        ("lifecycle:active", "lifecycle changed from active to in_repair"),
        ("NOT site:hall", "site changed from dock to hall"),
        ("firmware:1.*", "firmware changed from 1.4.2 to 2.0"),
        ("connectivity:online", "connectivity changed from online to offline"),
        ("NOT cause:goodbye", "cause changed from none to goodbye"),
        ("alarms:>0 AND alarms:<9", "alarms changed from 1 to 0"),
    ],
)
def test_a_device_that_left_is_given_with_what_changed_and_when(
    device: Device, reader: Reader, q: str, reason: str
) -> None:
    change_everything(device)
    between: dict[str, Any] = {"from": THEN.isoformat(), "to": (NOW - HOUR).isoformat()}
    at = rfc3339(NEXT if "lifecycle" in q else LATER)

    left = reader.get(CHANGES, q=q, **between)
    joined = reader.get(CHANGES, q=f"NOT ({q})", **between)
    kept = reader.get(CHANGES, q="config_version:7", **between)

    mover = {"uid": "pump", "reason": f"{reason} at {at}"}
    assert left == {"joined": [], "left": [mover], "kept": 0}
    assert joined == {"joined": [mover], "left": [], "kept": 0}
    assert kept == {"joined": [], "left": [], "kept": 1}


def test_a_new_device_joined_because_it_was_registered(
    device: Device, reader: Reader
) -> None:
    with time_machine.travel(LATER, tick=False):
        DeviceFactory.create(uid="fan", tenant=device.tenant, site=device.site)

    between: dict[str, Any] = {"from": THEN.isoformat(), "to": NOW.isoformat()}
    found = reader.get(CHANGES, q="*", **between)

    [mover] = found["joined"]
    assert mover["uid"] == "fan"
    assert mover["reason"].startswith("registered at ")
    assert found["kept"] == 1


def test_changes_backwards_are_refused(reader: Reader) -> None:
    turned: dict[str, Any] = {"from": LATER.isoformat(), "to": THEN.isoformat()}

    [error] = reader.get(CHANGES, status=400, q="*", **turned)["errors"]

    assert error["field"] == "to"


@pytest.mark.parametrize("wrong", ["from", "to"])
@pytest.mark.parametrize("text", ["", "2026-11-20T10:00:00", "2020-01-01T00:00:00Z"])
def test_a_moment_of_which_nothing_is_known_is_refused_by_name(
    reader: Reader, wrong: str, text: str
) -> None:
    between = {"from": THEN.isoformat(), "to": LATER.isoformat(), wrong: text}

    answer = reader.client.get(f"/api/v1/{CHANGES}", {"q": "*"} | between)

    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["errors"]] == [wrong]


def test_the_changes_between_two_moments_are_those_of_a_replay(is_long: bool) -> None:
    chance = random.Random(20261202)
    past = PastFleet(chance)
    past.live(300 if is_long else 80)

    for _ in range(300 if is_long else 30):
        tenant, tree = chance.choice(past.tenants), some_query(chance, past)
        begin, end = sorted(some_moment(chance, past) for _ in range(2))
        found = find_changes(
            tenants=[tenant], q=print_query(tree), from_at=begin, to_at=end
        )

        before, after = (
            {
                row.values["uid"]
                for row in past.fleet_at(at, tenant)
                if matches(tree, row, at)
            }
            for at in (begin, end)
        )
        assert {row.uid for row in found.joined} == after - before
        assert {row.uid for row in found.left} == before - after
        assert found.kept == len(before & after)
        assert all(" at 20" in row.reason for row in [*found.joined, *found.left])
