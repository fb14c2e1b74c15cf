"""The audit log page: who may see it, and what it shows."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from commands.services.device_replacement import replace_device
from registry.choices import Role
from registry.models import Device
from tests.acting import acting
from tests.console.conftest import Fleet

pytestmark = pytest.mark.django_db


def rename(fleet: Fleet, uid: str, name: str) -> str:
    person = fleet.person(Role.MANAGER)
    with acting(person, door="console"):
        Device.objects.filter(uid=uid).update(name=name)
    return person.username


def text_of(client: Client, **asked: Any) -> str:
    answer = client.get("/audit/", asked)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_change_shows_the_person_the_object_and_both_values(acme: Fleet) -> None:
    who = rename(acme, "sh-0", "north pump")

    text = text_of(acme.client(Role.MANAGER))

    assert who in text
    assert "<del>(empty)</del>" in text
    assert "<ins>north pump</ins>" in text
    assert "in the console" in text
    assert 'href="/devices/sh-0/"' in text


def test_filters_select_changes_and_report_when_nothing_matches(acme: Fleet) -> None:
    client = acme.client(Role.ADMIN)
    assert "No changes yet" in text_of(client)
    who = rename(acme, "sh-0", "north pump")
    rename(acme, "sh-1", "south pump")

    found = text_of(client, q="sh-0", user=who, kind="device", action="changed")

    assert "north pump" in found
    assert "south pump" not in found
    assert "south pump" in text_of(client, device="sh-1")
    assert "No changes match" in text_of(client, to="2001-01-01")
    wrong = client.get("/audit/", {"from": "yesterday"})
    assert wrong.status_code == 422
    assert "must be a date" in wrong.content.decode()


def test_the_second_page_continues_the_first(acme: Fleet) -> None:
    for n in range(51):
        rename(acme, "sh-0", f"name {n}")
    client = acme.client(Role.MANAGER)

    first = client.get("/audit/", {"kind": "device"})
    second = client.get(f"/audit/{first.context['next_url']}")

    assert len(first.context["changes"]) == 50
    assert len(second.context["changes"]) == 1


def test_people_with_the_audit_right_see_the_log_of_their_own_tenant_only(
    acme: Fleet, globex: Fleet, admin: Client
) -> None:
    rename(globex, "gx-0", "their pump")

    for role in (Role.VIEWER, Role.OPERATOR, Role.APPROVER):
        client = acme.client(role)
        assert client.get("/audit/").status_code == 403
        assert 'href="/audit/"' not in client.get("/alarms/").content.decode()
    ours = acme.client(Role.MANAGER)
    assert 'href="/audit/"' in ours.get("/alarms/").content.decode()
    assert "their pump" not in text_of(ours)
    assert "their pump" in text_of(admin)


def test_the_device_page_names_both_devices_of_a_replacement(acme: Fleet) -> None:
    old, new = acme.devices[0], acme.devices[1]
    replace_device(device=old, successor=new, reason="wet", actor=None)
    client = acme.client()

    assert "Replaced by" in client.get("/devices/sh-0/").content.decode()
    assert "Replaces" in client.get("/devices/sh-1/").content.decode()
