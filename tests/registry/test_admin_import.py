"""A worker imports a file that was uploaded in the admin, and the page shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from registry.models import Device, DeviceImport, Product, Site, Tenant
from registry.services.imports.runs import (
    GIVEN_UP_AFTER,
    MOST_STARTS,
    run_next_import_across_tenants,
)
from tests.factories import DeviceFactory, UserFactory

pytestmark = pytest.mark.django_db

ADD = "/admin/registry/deviceimport/add/"
DEVICES = "/admin/registry/device/"
GOOD = "uid,site,product\ndev-1,shanghai-01,sensor-s1\n"
BAD = "uid,site,product\ndev-1,<b>nowhere</b>,sensor-s1\n"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def admin(site: Site, product: Product) -> Client:
    """An administrator, with the site and the product that the files name."""
    client = Client()
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    return client


def give(
    admin: Client, acme: Tenant, text: str, name: str = "d.csv", **more: str
) -> str:
    file = SimpleUploadedFile(name, text.encode())
    answer = admin.post(ADD, {"tenant": acme.pk, "file": file, **more})
    assert answer.status_code == 302, answer.content
    return answer["Location"]


def test_a_file_is_imported_by_a_worker(admin: Client, acme: Tenant) -> None:
    page = give(admin, acme, GOOD)

    waiting = admin.get(page)
    was_done = run_next_import_across_tenants(now=now())
    done = admin.get(page)

    assert waiting["Refresh"]
    assert "queued" in waiting.content.decode()
    assert was_done
    assert "Refresh" not in done
    run = DeviceImport.objects.get()
    assert (run.status, run.devices) == ("done", 1)
    assert not run.file
    assert not default_storage.listdir("imports")[1]
    assert Device.objects.get().uid == "dev-1"
    assert not run_next_import_across_tenants(now=now())


def test_errors_are_listed_by_line_and_nothing_is_written(
    admin: Client, acme: Tenant
) -> None:
    page = give(admin, acme, BAD)
    run_next_import_across_tenants(now=now())

    text = admin.get(page).content.decode()

    assert "refused" in text
    assert "There is no such site." in text
    assert "&lt;b&gt;nowhere" in text
    assert not Device.objects.exists()


def test_a_dry_run_writes_nothing(admin: Client, acme: Tenant) -> None:
    give(admin, acme, GOOD, is_dry_run="on")
    run_next_import_across_tenants(now=now())

    run = DeviceImport.objects.get()
    assert (run.status, run.devices) == ("done", 1)
    assert not Device.objects.exists()


def test_another_kind_of_file_is_refused(admin: Client, acme: Tenant) -> None:
    file = SimpleUploadedFile("devices.xlsx", b"PK")

    answer = admin.post(ADD, {"tenant": acme.pk, "file": file})

    assert answer.status_code == 200
    assert "File extension" in answer.content.decode()
    assert not DeviceImport.objects.exists()


def test_an_import_of_a_dead_worker_is_restarted_a_limited_number_of_times(
    admin: Client, acme: Tenant
) -> None:
    give(admin, acme, GOOD)
    left = {"status": "running", "starts": 1, "started_at": now()}
    DeviceImport.objects.update(**left)

    assert not run_next_import_across_tenants(now=now())
    later = now() + GIVEN_UP_AFTER + timedelta(seconds=1)
    assert run_next_import_across_tenants(now=later)
    assert DeviceImport.objects.get().status == "done"

    DeviceImport.objects.update(**left | {"starts": MOST_STARTS})
    assert not run_next_import_across_tenants(now=later)
    assert DeviceImport.objects.get().status == "failed"


def test_a_person_who_lost_the_right_imports_nothing(
    admin: Client, acme: Tenant
) -> None:
    give(admin, acme, GOOD)
    run = DeviceImport.objects.get()
    assert run.actor is not None
    run.actor.is_superuser = False
    run.actor.save()

    run_next_import_across_tenants(now=now())

    run.refresh_from_db()
    assert run.status == "refused"
    assert "may no longer" in run.detail
    assert not Device.objects.exists()


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_the_selected_devices_are_exported(
    admin: Client, acme: Tenant, name: str
) -> None:
    chosen = DeviceFactory(tenant=acme, uid="dev-1")
    DeviceFactory(tenant=acme, uid="dev-2")
    form = {"action": f"export_as_{name}", "_selected_action": [chosen.pk]}

    answer = admin.post(DEVICES, form)

    assert answer["Content-Disposition"] == f'attachment; filename="devices.{name}"'
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert "dev-1" in text
    assert "dev-2" not in text
