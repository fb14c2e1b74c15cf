"""The pages of firmware releases, which are uploaded, and of enrolment keys."""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from registry.choices import Role
from registry.models import EnrolmentKey, FirmwareRelease
from tests.console.conftest import Fleet
from tests.console.test_registry_pages import limited_manager
from tests.factories import HardwareRevisionFactory, ProductFactory

pytestmark = pytest.mark.django_db

RELEASES, KEYS = "/registry/firmware-releases/", "/registry/enrolment-keys/"
BYTES = b"firmware" * 1_000


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Path) -> Path:
    """A storage for this test alone."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def upload(client: Client, content: bytes = BYTES, **given: str) -> Any:
    file = SimpleUploadedFile("../../passwd", content)
    form = {"version": "1.5.0", "products": "sensor-s1"} | given
    return client.post(f"{RELEASES}new/", {**form, "file": file})


def files_in(store: Path) -> list[bytes]:
    return [path.read_bytes() for path in store.rglob("*") if path.is_file()]


def test_a_release_is_uploaded_extended_and_deleted_with_its_file(
    acme: Fleet, store: Path
) -> None:
    client = acme.client(Role.MANAGER)
    other = ProductFactory(tenant=acme.tenant, slug="sensor-s2")
    HardwareRevisionFactory(tenant=acme.tenant, product=other, slug="rev-b")

    made = upload(client)
    row = FirmwareRelease.objects.get()
    listed = client.get(RELEASES).content.decode()
    form = client.get(f"{RELEASES}{row.public_id}/").context["form"]
    more = {"products": "sensor-s1, sensor-s2", "hardware_revisions": "rev-b"}
    client.post(f"{RELEASES}{row.public_id}/", {"notes": "Faster.", **more})
    kept = files_in(store)

    assert made.status_code == 302
    assert (row.size, row.sha256) == (len(BYTES), hashlib.sha256(BYTES).hexdigest())
    assert row.created_by is not None
    assert row.sha256 in listed
    assert set(form.fields) == {
        *("products", "hardware_revisions", "signature", "notes")
    }
    row.refresh_from_db()
    assert row.notes == "Faster."
    assert {product.slug for product in row.products.all()} == {
        *("sensor-s1", "sensor-s2")
    }
    assert [made.slug for made in row.hardware_revisions.all()] == ["rev-b"]
    assert kept == [BYTES]


@pytest.mark.django_db(transaction=True)
def test_a_deleted_release_takes_its_file_along(acme: Fleet, store: Path) -> None:
    client = acme.client(Role.MANAGER)
    upload(client)
    row = FirmwareRelease.objects.get()

    gone = client.post(f"{RELEASES}{row.public_id}/delete/")

    assert gone["Location"] == RELEASES
    assert not FirmwareRelease.objects.exists()
    assert files_in(store) == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"version": "1 5"}, "version"),
        ({"products": "nothing"}, "products"),
        ({"products": ""}, "products"),
        ({"hardware_revisions": "stray"}, "hardware_revisions"),
        ({"content": b""}, "file"),
        ({"content": BYTES * 2}, "file"),
    ],
)
def test_a_wrong_release_is_refused_at_its_field_and_leaves_no_file(
    acme: Fleet, store: Path, settings: Any, given: dict[str, Any], field: str
) -> None:
    settings.FIRMWARE_MAX_BYTES = len(BYTES)
    HardwareRevisionFactory(tenant=acme.tenant, slug="stray")

    answer = upload(acme.client(Role.MANAGER), **given)

    assert answer.status_code == 422
    assert next(iter(answer.context["form"].errors)) == field
    assert not FirmwareRelease.objects.exists()
    assert files_in(store) == []


def test_a_version_that_a_product_has_already_is_refused(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)
    upload(client)

    again = upload(client)

    assert again.status_code == 409
    assert "has a release 1.5.0 already" in again.context["form"].errors["version"][0]
    assert FirmwareRelease.objects.count() == 1


def test_releases_are_for_managers_of_the_whole_tenant_to_change(
    acme: Fleet, globex: Fleet
) -> None:
    upload(acme.client(Role.MANAGER))
    row = FirmwareRelease.objects.get()
    page = f"{RELEASES}{row.public_id}/"
    limited = limited_manager(acme, site=acme.devices[0].site)

    for client in (limited, acme.client(Role.VIEWER)):
        assert "1.5.0" in client.get(page).content.decode()
        assert upload(client, version="2.0.0").status_code == 403
        assert client.post(page, {"notes": "x"}).status_code == 403
        assert client.post(f"{page}delete/").status_code == 403
    theirs = globex.client(Role.ADMIN)
    assert theirs.get(page).status_code == 404
    assert theirs.post(f"{page}delete/").status_code == 404
    assert "1.5.0" not in theirs.get(RELEASES).content.decode()


def key_form(**given: str) -> dict[str, str]:
    ends = timezone.localtime() + timedelta(days=3)
    form = {"product": "sensor-s1", "site": "shanghai-01", "max_devices": "2"}
    return form | {"expires_at": ends.strftime("%Y-%m-%dT%H:%M:%S")} | given


def test_an_enrolment_key_is_shown_once_enrols_devices_and_can_be_revoked(
    acme: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    client = acme.client(Role.MANAGER)
    caplog.set_level(logging.DEBUG)

    made = client.post(f"{KEYS}new/", key_form())
    found = re.search(r"enrol_[\w-]{43}", made.content.decode())
    assert found
    text, row = found[0], EnrolmentKey.objects.get()
    enrolled = [enrol(text, "en-1"), enrol(text, "en-2")]
    page = f"{KEYS}{row.public_id}/"
    shown = client.get(KEYS).content.decode() + client.get(page).content.decode()
    few = client.post(page, key_form(max_devices="1", name=row.name))
    client.post(page, key_form(max_devices="9", name="for the roof"))
    client.post(f"{page}revoke/")

    assert made["Cache-Control"] == "no-store"
    assert enrolled == [201, 201]
    assert text not in shown
    assert text not in caplog.text
    assert few.status_code == 422
    assert "already enrolled 2 devices" in few.context["form"].errors["max_devices"][0]
    row.refresh_from_db()
    assert (row.name, row.max_devices, row.used_count) == ("for the roof", 9, 2)
    assert row.revoked_at is not None
    assert enrol(text, "en-3") == 403
    assert "revoke/" not in client.get(page).content.decode()


def enrol(key: str, uid: str) -> int:
    body = {"key": key, "uid": uid}
    return int(APIClient().post("/api/v1/enrol/", body, format="json").status_code)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"product": ""}, "product"),
        ({"site": "nowhere"}, "site"),
        ({"max_devices": "0"}, "max_devices"),
        ({"max_devices": "1000001"}, "max_devices"),
        ({"expires_at": "2020-01-01T00:00:00"}, "expires_at"),
    ],
)
def test_a_wrong_enrolment_key_is_refused_at_its_field(
    acme: Fleet, given: dict[str, str], field: str
) -> None:
    answer = acme.client(Role.MANAGER).post(f"{KEYS}new/", key_form(**given))

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not EnrolmentKey.objects.exists()


def test_enrolment_keys_are_seen_only_by_managers_of_their_site(
    acme: Fleet, globex: Fleet
) -> None:
    acme.client(Role.MANAGER).post(f"{KEYS}new/", key_form(name="roof"))
    row = EnrolmentKey.objects.get()
    page = f"{KEYS}{row.public_id}/"
    operator = acme.client(Role.OPERATOR)
    elsewhere = limited_manager(acme, site=acme.devices[-1].site)
    theirs = globex.client(Role.ADMIN)

    for path in (KEYS, page, f"{KEYS}new/"):
        assert operator.get(path).status_code == 403
    assert KEYS not in operator.get("/registry/sites/").content.decode()
    for client in (elsewhere, theirs):
        assert "roof" not in client.get(KEYS).content.decode()
        assert client.get(page).status_code == 404
        assert client.post(f"{page}revoke/").status_code == 404
    refused = elsewhere.post(f"{KEYS}new/", key_form())
    assert "site" in refused.context["form"].errors
    assert EnrolmentKey.objects.get().revoked_at is None
