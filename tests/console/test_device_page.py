"""The device page: identity, condition, twin, commands and history."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from commands.definitions import DEFINITIONS
from commands.models import Command
from commands.services.device_replacement import replace_device
from registry.choices import Lifecycle, Role
from registry.services.lifecycle import move_lifecycle
from tests.commands.units import Unit, deliver, now
from tests.console.conftest import Fleet
from tests.fleet.rows import make_alarm

pytestmark = pytest.mark.django_db


def text_of(fleet: Fleet, path: str, role: Role = Role.MANAGER) -> str:
    answer = fleet.client(role).get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_shows_the_identity_and_why_the_device_is_offline(acme: Fleet) -> None:
    text = text_of(acme, "/devices/sh-0/")

    assert "sensor-s1" in text
    assert "shanghai-01, East China" in text
    assert "offline: last will" in text
    assert "7 abnormal disconnects in 72 h" in text
    assert "judged by the connectivity rules" in text


def test_a_device_that_never_connected_has_a_page(acme: Fleet) -> None:
    acme.add("new-1")

    text = text_of(acme, "/devices/new-1/")

    assert "never connected" in text
    assert "No commands yet." in text
    assert "No history yet." in text


def test_the_page_shows_alarms_telemetry_with_units_and_twin_differences(
    acme: Fleet,
) -> None:
    unit = Unit(acme.devices[1])
    unit.come_online()
    unit.say("telemetry", {"metrics": {"temperature": 21.5}})
    unit.report(1, {"firmware": "1.4.2", "interval": 10})
    acme.command(unit.device, "set_config", interval=30)
    make_alarm(unit.device, code="overheat")

    text = text_of(acme, "/devices/sh-1/")

    assert "<b>21.5</b> °C" in text
    assert "overheat" in text
    assert "differs" in text
    assert '<td>30</td><td>10 <span class="warn-text">different</span>' in text


def test_the_history_merges_lifecycle_connectivity_and_commands(acme: Fleet) -> None:
    device = acme.devices[1]
    unit = Unit(device)
    move_lifecycle(device=device, to="in_repair", reason="wet", actor=None)
    move_lifecycle(device=device, to="active", reason="dry", actor=None)
    command = acme.command(device)
    deliver()
    unit.acknowledge(command)
    unit.result(command)

    text = text_of(acme, "/devices/sh-1/").split('id="story-list"')[1]

    assert "active → in repair" in text
    assert "wet" in text
    assert f"/commands/{command.public_id}/" in text
    assert "</a> executed: the device executed it" in text
    assert text.index("</a> executed") < text.index("active → in repair")


def test_earlier_entries_of_a_long_history_are_loaded_on_demand(acme: Fleet) -> None:
    device = acme.devices[1]
    for number in range(60):
        to = "in_repair" if number % 2 == 0 else "active"
        move_lifecycle(device=device, to=to, reason=f"turn-{number:02}", actor=None)
    client = acme.client()

    page = client.get("/devices/sh-1/")
    rest = client.get(page.context["more_url"])

    assert "turn-59" in page.content.decode()
    assert "turn-00" not in page.content.decode()
    assert "turn-00" in rest.content.decode()
    assert "turn-59" not in rest.content.decode()
    assert "<html" not in rest.content.decode()


def test_submitting_a_form_twice_sends_one_command(acme: Fleet) -> None:
    client = acme.client()
    form = {
        "command": "reboot",
        "key": client.get("/devices/sh-1/").context["send_key"],
    }

    first = client.post("/devices/sh-1/commands/", form)
    second = client.post("/devices/sh-1/commands/", form)

    command = Command.objects.get()
    assert first["Location"] == second["Location"] == f"/commands/{command.public_id}/"
    assert command.requested_by is not None


def test_a_command_without_parameters_has_no_fields_and_is_sent(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = {"type": "object", "additionalProperties": False}
    bare = replace(DEFINITIONS["reboot"], params_schema=schema)
    monkeypatch.setitem(DEFINITIONS, "reboot", bare)
    client = acme.client()

    text = client.get("/devices/sh-1/").content.decode()
    answer = client.post("/devices/sh-1/commands/", {"command": "reboot"})

    assert 'name="reboot-' not in text
    assert answer.status_code == 302
    assert Command.objects.get().params == {}


def test_a_real_time_command_to_an_offline_device_is_refused_at_the_form(
    acme: Fleet,
) -> None:
    answer = acme.client().post("/devices/sh-0/commands/", {"command": "identify"})

    assert answer.status_code == 409
    (chosen,) = [row for row in answer.context["choices"] if row["is_chosen"]]
    assert "real-time command" in chosen["form"].non_field_errors()[0]
    assert "real-time command" in answer.content.decode()
    assert not Command.objects.exists()


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({}, "Choose a command."),
        ({"command": "explode"}, "Choose a command."),
        ({"command": "identify", "identify-seconds": "0"}, "greater than or equal"),
        ({"command": "set_config", "set_config-params": "[]"}, "Enter an object"),
        ({"command": "set_config", "set_config-params": ""}, "This field is required"),
    ],
)
def test_an_invalid_command_form_is_refused_with_the_reason(
    acme: Fleet, form: dict[str, str], expected: str
) -> None:
    answer = acme.client().post("/devices/sh-1/commands/", form)

    assert answer.status_code == 422
    assert expected in answer.content.decode()
    assert not Command.objects.exists()


def test_a_manager_changes_the_lifecycle(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)

    moved = client.post("/devices/sh-1/lifecycle/", {"to": "in_repair", "reason": "x"})
    refused = client.post("/devices/sh-1/lifecycle/", {"to": "provisioned"})
    unnamed = client.post("/devices/sh-1/lifecycle/", {"to": "replaced"})

    assert moved.status_code == 302
    assert refused.status_code == 409
    assert "cannot become" in refused.context["move_form"].errors["to"][0]
    assert "Name the device" in unnamed.context["move_form"].errors["replaced_by"][0]
    assert "Name the device" in unnamed.content.decode()
    acme.devices[1].refresh_from_db()
    assert acme.devices[1].lifecycle == Lifecycle.IN_REPAIR


def test_both_devices_of_a_replacement_link_to_each_other(acme: Fleet) -> None:
    old, new = acme.devices[0], acme.add("new-1")
    replace_device(device=old, successor=new, reason="worn out", actor=None)

    assert 'href="/devices/new-1/">new-1</a>' in text_of(acme, f"/devices/{old.uid}/")
    assert f'href="/devices/{old.uid}/">' in text_of(acme, "/devices/new-1/")


def test_people_with_the_audit_right_get_a_link_to_the_audit_log(acme: Fleet) -> None:
    link = 'href="/audit/?device=sh-0"'

    assert link in text_of(acme, "/devices/sh-0/")
    assert link not in text_of(acme, "/devices/sh-0/", Role.VIEWER)


def test_a_retired_device_offers_no_commands_and_shows_why(acme: Fleet) -> None:
    move_lifecycle(device=acme.devices[1], to="retired", reason="old", actor=None)

    text = text_of(acme, "/devices/sh-1/")

    assert "The device is retired. It takes no commands." in text
    assert "Send to sh-1" not in text


def test_the_polled_part_is_304_until_something_changes(acme: Fleet) -> None:
    client = acme.client()
    etag = client.get("/devices/sh-1/now/")["ETag"]

    same = client.get("/devices/sh-1/now/", headers={"If-None-Match": etag})
    Unit(acme.devices[1]).say("telemetry", {"metrics": {"temperature": 3}}, at=later())
    other = client.get("/devices/sh-1/now/", headers={"If-None-Match": etag})

    assert (same.status_code, other.status_code) == (304, 200)


def later() -> datetime:
    return now() + timedelta(seconds=1)
