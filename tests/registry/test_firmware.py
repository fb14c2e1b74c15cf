"""Firmware releases: uploaded once, measured, and visible to their tenant only."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from iotplatform.common.problems import Conflict
from registry.models import (
    AuditEntry,
    FirmwareProduct,
    FirmwareRelease,
    HardwareRevision,
    MembershipLimit,
    Product,
    Site,
    Tenant,
)
from registry.services.firmware import create_release
from tests.factories import (
    HardwareRevisionFactory,
    MembershipFactory,
    ProductFactory,
    UserFactory,
)
from tests.registry.conftest import client_of, fields_of

URL = "/api/v1/firmware-releases/"
BYTES = bytes(range(256)) * 20_000  # more than Django holds in memory


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Path) -> Path:
    """A storage for this test alone."""
    settings.MEDIA_ROOT = tmp_path
    return tmp_path


@pytest.fixture
def revision(acme: Tenant, product: Product) -> HardwareRevision:
    """A revision of the usual product."""
    row: HardwareRevision = HardwareRevisionFactory(
        tenant=acme, product=product, slug="rev-b"
    )
    return row


def upload(client: APIClient, content: bytes = b"firmware", **fields: Any) -> Any:
    file = io.BytesIO(content)
    file.name = "../../etc/passwd"
    form = {"version": "1.5.0", "products": ["sensor-s1"], "file": file} | fields
    given = {name: value for name, value in form.items() if value is not None}
    return client.post(URL, given, format="multipart")


def files_in(store: Path) -> list[Path]:
    return [path for path in store.rglob("*") if path.is_file()]


def test_an_upload_is_measured_and_stored_under_our_own_name(
    manager: APIClient, acme: Tenant, revision: HardwareRevision, store: Path
) -> None:
    answer = upload(
        manager, BYTES, hardware_revisions=["rev-b"], signature="MEUC", notes="Faster."
    )

    assert answer.status_code == 201, answer.content
    row = FirmwareRelease.objects.get()
    shown = answer.json()
    created_at = shown.pop("created_at")
    assert shown == {
        "id": str(row.public_id),
        "tenant": "acme",
        "version": "1.5.0",
        "size": len(BYTES),
        "sha256": hashlib.sha256(BYTES).hexdigest(),
        "signature": "MEUC",
        "products": ["sensor-s1"],
        "hardware_revisions": ["rev-b"],
        "notes": "Faster.",
        "created_by": row.created_by.username if row.created_by else "",
    }
    (kept,) = files_in(store)
    assert kept == store / "firmware" / f"{row.public_id}.bin"
    assert kept.read_bytes() == BYTES
    assert manager.get(f"{URL}{row.public_id}/").json() == shown | {
        "created_at": created_at
    }
    assert len(manager.get(f"{URL}?product=sensor-s1").json()["results"]) == 1
    assert manager.get(f"{URL}?version=2").json()["results"] == []


@pytest.mark.usefixtures("revision")
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"version": None}, "version"),
        ({"version": "1 5"}, "version"),
        ({"version": "x" * 65}, "version"),
        ({"products": None}, "products"),
        ({"products": ["nothing"]}, "products"),
        ({"hardware_revisions": ["nothing"]}, "hardware_revisions"),
        ({"hardware_revisions": ["other-rev"]}, "hardware_revisions"),
        ({"file": None}, "file"),
        ({"file": "text"}, "file"),
        ({"file": io.BytesIO(b"")}, "file"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"tenant": "nobody"}, "tenant"),
        ({"signature": "x" * 4_097}, "signature"),
    ],
)
def test_bad_input_names_the_field_and_leaves_no_file(
    manager: APIClient, acme: Tenant, store: Path, fields: dict[str, Any], field: str
) -> None:
    HardwareRevisionFactory(tenant=acme, slug="other-rev")

    answer = upload(manager, **fields)

    assert answer.status_code == 400, answer.content
    assert fields_of(answer) == {field}
    assert not FirmwareRelease.objects.exists()
    assert files_in(store) == []


@pytest.mark.usefixtures("product")
def test_a_longer_file_than_the_setting_allows_is_refused(
    manager: APIClient, settings: Any, store: Path
) -> None:
    settings.FIRMWARE_MAX_BYTES = 1_000

    answers = [
        upload(manager, b"x" * 1_001),
        upload(manager, b"x" * 1_100_000),  # refused by its header
        upload(manager, b"x" * 1_000),
    ]

    assert [answer.status_code for answer in answers] == [413, 413, 201]
    assert fields_of(answers[0]) == fields_of(answers[1]) == {"file"}
    assert len(files_in(store)) == 1


def test_a_form_is_not_read_beyond_the_limit(
    acme: Tenant, settings: Any, store: Path
) -> None:
    settings.FIRMWARE_MAX_BYTES = 1_000
    settings.FILE_UPLOAD_TEMP_DIR = store
    client = Client(enforce_csrf_checks=True)
    client.force_login(MembershipFactory(tenant=acme, role="manager").user)
    client.cookies["csrftoken"] = "a" * 32  # the form must contain the same token

    answer = client.post(URL, {"file": ContentFile(b"x" * 3_000_000, "x.bin")})

    assert answer.status_code == 413, answer.content
    assert fields_of(answer) == {"file"}
    assert files_in(store) == []


def test_a_product_has_one_release_of_a_version(
    manager: APIClient, acme: Tenant, product: Product, store: Path
) -> None:
    ProductFactory(tenant=acme, slug="hub-h1")
    first = upload(manager).json()
    other = upload(manager, products=["hub-h1"]).json()

    again = upload(manager, products=["hub-h1", "sensor-s1"])
    joined = manager.patch(
        f"{URL}{other['id']}/", {"products": ["hub-h1", "sensor-s1"]}, format="json"
    )

    for answer in (again, joined):
        assert answer.status_code == 409, answer.content
        assert fields_of(answer) == {"version"}
    assert upload(manager, version="1.5.1").status_code == 201
    assert len(files_in(store)) == 3
    assert manager.get(f"{URL}{first['id']}/").json() == first


def test_products_of_a_release_change_but_version_and_file_do_not(
    manager: APIClient, acme: Tenant, revision: HardwareRevision
) -> None:
    ProductFactory(tenant=acme, slug="hub-h1")
    url = f"{URL}{upload(manager).json()['id']}/"

    def change(**fields: Any) -> Any:
        return manager.patch(url, fields, format="json")

    changed = change(
        products=["hub-h1", "sensor-s1"], hardware_revisions=["rev-b"], notes="For all."
    )
    strayed = change(products=["hub-h1"])
    moved = change(products=["hub-h1"], hardware_revisions=[])

    assert changed.status_code == 200, changed.content
    assert sorted(changed.json()["products"]) == ["hub-h1", "sensor-s1"]
    assert changed.json()["hardware_revisions"] == ["rev-b"]
    assert fields_of(strayed) == {"hardware_revisions"}
    assert moved.json()["products"] == ["hub-h1"]
    assert fields_of(change(version="2")) == {"version"}
    assert fields_of(change(file="x")) == {"file"}
    assert change(version="1.5.0").status_code == 200


@pytest.mark.usefixtures("product")
def test_deleting_a_release_deletes_its_file(
    manager: APIClient, store: Path, django_capture_on_commit_callbacks: Any
) -> None:
    url = f"{URL}{upload(manager).json()['id']}/"

    with django_capture_on_commit_callbacks(execute=True):
        answer = manager.delete(url)

    assert answer.status_code == 204
    assert files_in(store) == []
    assert not FirmwareProduct.objects.exists()
    assert manager.get(url).status_code == 404


def test_a_product_with_firmware_is_not_deleted(
    manager: APIClient, product: Product
) -> None:
    upload(manager)

    assert manager.delete("/api/v1/products/sensor-s1/").status_code == 409


def test_nobody_accesses_another_tenants_releases(
    manager: APIClient, viewer: APIClient, stranger: APIClient, product: Product
) -> None:
    url = f"{URL}{upload(manager).json()['id']}/"

    assert stranger.get(url).status_code == 404
    assert stranger.patch(url, {"notes": "x"}, format="json").status_code == 404
    assert stranger.delete(url).status_code == 404
    assert stranger.get(URL).json()["results"] == []
    assert fields_of(upload(stranger, version="2")) == {"products"}
    assert viewer.get(url).status_code == 200
    assert upload(viewer, version="2").status_code == 403
    assert viewer.delete(url).status_code == 403
    assert APIClient().get(url).status_code == 401


def test_a_limited_member_reads_releases_and_changes_none(
    manager: APIClient, acme: Tenant, product: Product, site: Site
) -> None:
    url = f"{URL}{upload(manager).json()['id']}/"
    member = MembershipFactory(tenant=acme, role="manager")
    MembershipLimit.objects.create(membership=member, tenant=acme, site=site)
    limited = client_of(member.user)

    assert limited.get(url).status_code == 200
    assert limited.delete(url).status_code == 403
    assert upload(limited, version="2").status_code == 403


def test_the_database_refuses_a_release_for_another_tenants_product(
    acme: Tenant, globex: Tenant, product: Product
) -> None:
    row = create_release(
        tenant=acme, version="1", file=ContentFile(b"x"), products=[product]
    )
    rows = FirmwareProduct.objects.filter(release=row)

    for lie in ({"product": ProductFactory(tenant=globex)}, {"version": "2"}):
        with pytest.raises(IntegrityError, match="_is_its_own"), transaction.atomic():
            rows.update(**lie)
    with pytest.raises(Conflict):
        create_release(
            tenant=acme, version="1", file=ContentFile(b"x"), products=[product]
        )


@pytest.mark.usefixtures("product")
def test_the_log_names_the_uploader(manager: APIClient) -> None:
    upload(manager)

    entries = set(AuditEntry.objects.values_list("kind", "object_name"))
    assert {("firmware_release", "1.5.0"), ("firmware_product", "1.5.0")} <= entries


def test_the_admin_accepts_an_upload_and_explains_refusals(
    acme: Tenant, product: Product, revision: HardwareRevision
) -> None:
    client = Client()
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    add = reverse("admin:registry_firmwarerelease_add")
    given = {"tenant": acme.pk, "version": "1.5.0", "products": [product.pk]}

    made = client.post(add, given | {"file": ContentFile(BYTES, "x.bin")})
    again = client.post(add, given | {"file": ContentFile(BYTES, "x.bin")}, follow=True)
    row = FirmwareRelease.objects.get()
    page = reverse("admin:registry_firmwarerelease_change", args=[row.pk])
    shown = client.get(page).content.decode()
    changed = client.post(
        page, {"products": [product.pk], "hardware_revisions": [revision.pk]}
    )
    built_for = list(row.hardware_revisions.all())
    deleted = client.post(
        reverse("admin:registry_firmwarerelease_delete", args=[row.pk]), {"post": "yes"}
    )

    assert made.status_code == 302, made.content
    assert "has a release 1.5.0 already" in again.content.decode()
    assert row.sha256 in shown
    assert changed.status_code == 302
    assert built_for == [revision]
    assert deleted.status_code == 302
    assert not FirmwareRelease.objects.exists()
