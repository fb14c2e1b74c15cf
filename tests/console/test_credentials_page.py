"""The credentials of a device: issued, rotated with an overlap, shown once, revoked."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from registry.choices import Lifecycle, Role
from registry.models import AuditEntry, Credential
from registry.selectors.credentials import is_secret_of_across_tenants
from tests.console.conftest import Fleet
from tests.registry.certificates import Authority

pytestmark = pytest.mark.django_db

PAGE = "/devices/sh-0/credentials/"


def secret_in(answer: Any) -> str:
    found = re.search(r'id="secret">([^<]+)<', answer.content.decode())
    return found[1] if found else ""


def test_a_secret_is_shown_once_and_rotated_with_an_overlap(
    acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    client = acme.client(Role.MANAGER)
    caplog.set_level(logging.DEBUG)

    first = client.post(PAGE)
    second = client.post(PAGE)
    old, new = secret_in(first), secret_in(second)
    both = [is_secret_of_across_tenants("sh-0", text) for text in (old, new)]
    again = client.get(PAGE)
    older = Credential.objects.order_by("pk")[0]
    client.post(f"{PAGE}{older.public_id}/revoke/")

    assert old != new
    assert both == [True, True]
    assert "Older credentials of the device stay valid" in second.content.decode()
    for answer in (first, second, again):
        assert "no-store" in answer["Cache-Control"]
    shown = again.content.decode() + client.get("/devices/sh-0/").content.decode()
    kept = (
        shown
        + caplog.text
        + str(list(AuditEntry.objects.values_list("before", "after")))
    )
    assert old not in kept
    assert new not in kept
    assert not is_secret_of_across_tenants("sh-0", old)
    assert is_secret_of_across_tenants("sh-0", new)
    assert "One is valid now" in client.get(PAGE).content.decode()


def test_a_certificate_is_registered_by_its_fingerprint(
    acme: Fleet, tmp_path: Path
) -> None:
    client = acme.client(Role.MANAGER)
    made, _ = Authority(tmp_path).issue("sh-0")
    form = {"kind": "x509", "certificate": made.read_text()}

    done = client.post(PAGE, form)
    again = client.post(PAGE, form)
    wrong = client.post(PAGE, form | {"certificate": "nothing"})

    row = Credential.objects.get()
    assert done.status_code == 200
    assert row.kind == "x509"
    assert row.fingerprint[:16] in done.content.decode()
    assert again.status_code == 422
    assert "Another credential has this certificate" in again.content.decode()
    assert wrong.status_code == 422
    assert "not an X.509 certificate" in wrong.content.decode()


def test_a_device_out_of_service_gets_no_credential(acme: Fleet) -> None:
    device = acme.devices[0]
    device.lifecycle = Lifecycle.RETIRED
    device.save()
    client = acme.client(Role.MANAGER)

    refused = client.post(PAGE)

    assert refused.status_code == 409
    assert "may not connect" in refused.content.decode()
    assert "Issue a new secret" not in client.get(PAGE).content.decode()
    assert not Credential.objects.exists()


def test_credentials_are_only_for_who_manages_the_device(
    acme: Fleet, globex: Fleet
) -> None:
    acme.client(Role.MANAGER).post(PAGE)
    row = Credential.objects.get()
    operator, admin = acme.client(Role.OPERATOR), acme.client(Role.ADMIN)

    assert operator.get(PAGE).status_code == 403
    assert operator.post(PAGE).status_code == 403
    assert operator.post(f"{PAGE}{row.public_id}/revoke/").status_code == 403
    assert PAGE not in operator.get("/devices/sh-0/").content.decode()
    assert admin.get("/devices/gx-0/credentials/").status_code == 404
    # A credential belongs to its device: not to another one of the tenant.
    other = f"/devices/sh-1/credentials/{row.public_id}/revoke/"
    assert admin.post(other).status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None
