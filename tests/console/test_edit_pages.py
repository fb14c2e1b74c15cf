"""The pages of an edit: form, what it would do, the typed number, the undoing."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from fleet.models import FleetEdit
from fleet.services import edits
from registry.choices import Lifecycle, Role
from registry.models import Device
from tests.console.conftest import Fleet

pytestmark = pytest.mark.django_db

WANTED = {"add_tags": "winter, cold", "lifecycle": "in_repair", "reason": "The move"}


def send(client: Client, step: str, **fields: Any) -> Any:
    return client.post("/fleet/edit/", {"q": "*", "step": step, **WANTED, **fields})


def test_an_edit_is_checked_then_typed_then_done_and_undone(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)
    acme.add("new-1", lifecycle=Lifecycle.PROVISIONED)
    acme.settle()
    total = Device.objects.filter(tenant=acme.tenant).count()

    fleet_page = client.get("/fleet/?q=tag:x OR *").content.decode()
    form = client.get("/fleet/edit/?q=*")
    seen = send(client, "check")
    wrong = send(client, "apply", typed_count=str(total - 1))
    assert not FleetEdit.objects.exists()
    done = send(client, "apply", typed_count=str(total))

    assert "Edit these devices" in fleet_page
    assert form.status_code == 200
    assert f"{total} devices would be edited" in seen.content.decode()
    assert "is provisioned: it cannot become in repair" in seen.content.decode()
    assert wrong.status_code == 422
    row = FleetEdit.objects.get()
    assert done["Location"] == f"/fleet/edits/{row.public_id}/"
    assert Device.objects.get(uid="sh-1").tags == ["winter", "cold"]
    page = client.get(done["Location"]).content.decode()
    assert "Undo this edit" in page
    assert "<dt>Tags to add</dt><dd>winter cold</dd>" in page

    client.post(f"{done['Location']}undo/")
    again = client.post(f"{done['Location']}undo/")

    assert again.status_code == 409
    assert Device.objects.get(uid="sh-1").tags == []
    listed = client.get("/fleet/edits/").content.decode()
    assert "The move" in listed
    file = b"".join(client.get(f"{done['Location']}file/"))
    assert b"sh-1" in file


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"add_tags": "a:b"}, "1 to 64 letters"),
        ({"site": "nowhere"}, "There is no such site."),
        ({"reason": ""}, "This field is required."),
        ({"attributes": "[1]"}, "Enter an object"),
    ],
)
def test_a_wrong_change_is_refused_beside_its_field(
    acme: Fleet, fields: dict[str, str], text: str
) -> None:
    page = send(acme.client(Role.MANAGER), "check", **fields)

    assert page.status_code == 422
    assert text in page.content.decode()


def test_an_edit_that_no_device_allows_is_shown_and_refused(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)
    total = str(Device.objects.filter(tenant=acme.tenant).count())

    seen = send(client, "check", lifecycle="provisioned")
    refused = send(client, "apply", lifecycle="provisioned", typed_count=total)

    assert "it cannot become provisioned" in seen.content.decode()
    assert refused.status_code == 409
    assert "No device of this set may be changed so" in refused.content.decode()


def test_a_large_edit_shows_that_it_goes_on(
    acme: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "AT_ONCE", 0)
    client = acme.client(Role.MANAGER)
    total = Device.objects.filter(tenant=acme.tenant).count()

    done = send(client, "apply", typed_count=str(total))
    page = client.get(done["Location"]).content.decode()

    assert "every 2s" in page
    assert "Undo this edit" not in page


def test_an_operator_sees_no_edit_button(acme: Fleet) -> None:
    client = acme.client(Role.OPERATOR)

    assert "Edit these devices" not in client.get("/fleet/?q=*").content.decode()
    assert client.get("/fleet/edit/?q=*").status_code == 403
    assert send(client, "check").status_code == 403
