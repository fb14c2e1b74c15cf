"""Commands: the list with filters, one command with its history, and the actions."""

from __future__ import annotations

import pytest

from commands.models import Command
from tests.commands.units import Unit, deliver, fresh
from tests.console.conftest import Fleet

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def test_filters_select_matching_commands(acme: Fleet) -> None:
    acme.command(acme.devices[1], "reboot")
    acme.command(acme.devices[2], "update_firmware", version="2.0")
    client = acme.client()

    by_name = client.get("/commands/", {"name": "reboot"}).content.decode()
    by_device = client.get("/commands/", {"device": "sh-2"}).content.decode()
    nothing = client.get("/commands/", {"status": "verified"}).content.decode()

    assert "/devices/sh-1/" in by_name
    assert "/devices/sh-2/" not in by_name
    assert "/devices/sh-2/" in by_device
    assert "No commands match" in nothing


def test_the_second_page_of_the_list_continues_the_first(
    acme: Fleet, monkeypatch: object
) -> None:
    commands = [acme.command(acme.devices[n % 3]) for n in range(60)]
    client = acme.client()

    first = client.get("/commands/")
    second = client.get(f"/commands/{first.context['next_url']}")

    ids = [row.pk for page in (first, second) for row in page.context["commands"]]
    assert ids == [command.pk for command in reversed(commands)]
    assert second.context["next_url"] is None


def test_the_page_shows_attempts_and_history(acme: Fleet) -> None:
    device = acme.devices[1]
    command = acme.command(device)
    deliver()
    Unit(device).acknowledge(command)
    Unit(device).result(command, "failed", code="E42")

    text = acme.client().get(f"/commands/{command.public_id}/").content.decode()

    assert "failed on the device" in text
    assert "E42" in text
    assert "mqtt" in text
    assert 'aria-label="failed on the device"' in text


def test_a_waiting_command_is_cancelled_and_redrawn(acme: Fleet) -> None:
    command = acme.command(acme.devices[1])
    path = f"/commands/{command.public_id}/cancel/"

    answer = acme.client().post(path, headers=HTMX)

    assert answer.status_code == 200
    assert "cancelled" in answer.content.decode()
    assert fresh(command).status == "cancelled"


def test_cancelling_too_late_is_refused_and_shows_the_command(acme: Fleet) -> None:
    device = acme.devices[1]
    command = acme.command(device)
    deliver()
    Unit(device).result(command)

    answer = acme.client().post(f"/commands/{command.public_id}/cancel/", headers=HTMX)

    assert answer.status_code == 409
    assert "too late to cancel it" in answer.content.decode()


def test_a_command_that_the_device_rejected_is_retried_as_a_new_command(
    acme: Fleet,
) -> None:
    device = acme.devices[1]
    command = acme.command(device, "set_config", interval=30)
    deliver()
    Unit(device).acknowledge(command, "rejected", reason="busy")
    client = acme.client()

    answer = client.post(f"/commands/{command.public_id}/retry/", headers=HTMX)

    again = Command.objects.exclude(pk=command.pk).get()
    assert answer["HX-Redirect"] == f"/commands/{again.public_id}/"
    assert again.retry_of == command


def test_an_unknown_action_is_refused(acme: Fleet) -> None:
    command = acme.command(acme.devices[1])

    answer = acme.client().post(f"/commands/{command.public_id}/explode/")

    assert answer.status_code == 400
