"""Logs that devices upload, and firmware that they download, by signed links."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from commands.models import DeviceFile, DeviceFilePart
from commands.services.device_files import delete_old_files_across_tenants
from registry.models import Device
from registry.services.firmware import create_release
from tests.adapters.http_client import HttpUnit, http_unit
from tests.commands.units import Unit, ask, claim, fresh
from tests.factories import DeviceFactory, HardwareRevisionFactory, MembershipFactory

pytestmark = pytest.mark.django_db

LOG = b"one\r\ntwo: Motor stopped\nthree\n"


def sent_params(unit: HttpUnit, name: str, **params: Any) -> dict[str, Any]:
    """Ask for a command; return the parameters with which it reaches the device."""
    unit.say("heartbeat", {})
    ask(Unit(unit.device), name, params)
    (command,) = unit.poll()["commands"]
    found: dict[str, Any] = command["params"]
    return found


def put(url: str, content: bytes, **headers: str) -> Any:
    """Upload as a plain client does: without the device's credential."""
    return Client().put(
        url, content, content_type="application/octet-stream", headers=headers
    )


def reader_of(device: Device, role: str = "viewer") -> APIClient:
    client = APIClient()
    client.force_authenticate(
        MembershipFactory.create(tenant=device.tenant, role=role).user
    )
    return client


def test_a_log_is_uploaded_and_read_by_people_of_the_tenant_alone() -> None:
    unit = http_unit()
    params = sent_params(unit, "collect_logs", lines=100)
    upload = params["upload"]
    assert params["lines"] == 100
    assert upload["url"].startswith("http://")
    assert upload["method"] == "PUT"
    path = upload["url"].partition("/device/")[2]

    answer = put(f"/device/{path}", LOG)

    assert answer.status_code == 200, answer.json()
    assert (answer.json()["size"], answer.json()["complete"]) == (len(LOG), True)
    command = DeviceFile.objects.get().command
    own = reader_of(unit.device)
    shown = own.get(f"/api/v1/commands/{command.public_id}/").json()
    (file,) = shown["files"]
    assert shown["params"] == {"lines": 100}
    assert upload["expires_at"].rstrip("Z") == shown["expires_at"][:23]
    assert file["size"] == len(LOG)
    assert file["name"].startswith(unit.device.uid)
    got = own.get(file["url"])
    assert (got.status_code, got.content) == (200, LOG)
    assert got["Content-Disposition"].startswith("attachment")
    stranger = reader_of(DeviceFactory.create(), role="manager")
    assert stranger.get(file["url"]).status_code == 404
    assert APIClient().get(file["url"]).status_code == 401


def test_an_upload_in_parts_goes_on_where_it_broke(settings: Any) -> None:
    settings.DEVICE_FILE_MAX_BYTES = 100
    path = _upload_path(http_unit())

    assert Client().head(path)["Upload-Offset"] == "0"
    first = put(path, LOG[:10], **{"Content-Range": f"bytes 0-9/{len(LOG)}"})
    assert first.json()["complete"] is False
    assert Client().head(path)["Upload-Offset"] == "10"
    gap = put(
        path, LOG[12:], **{"Content-Range": f"bytes 12-{len(LOG) - 1}/{len(LOG)}"}
    )
    assert gap.status_code == 409
    rest = put(
        path, LOG[10:], **{"Content-Range": f"bytes 10-{len(LOG) - 1}/{len(LOG)}"}
    )
    assert (rest.json()["size"], rest.json()["complete"]) == (len(LOG), True)
    assert DeviceFilePart.objects.count() == 2
    # The whole file again replaces it, as after a device forgot that it was done.
    assert put(path, b"anew").json()["size"] == 4
    assert DeviceFilePart.objects.count() == 1


def test_an_upload_is_refused_with_too_many_bytes_another_signature_or_too_late(
    settings: Any,
) -> None:
    settings.DEVICE_FILE_MAX_BYTES = 10
    unit = http_unit()
    path = _upload_path(unit)

    assert put(path, b"x" * 11).status_code == 413
    assert put(path, b"x", **{"Content-Range": "bytes 0-0/11"}).status_code == 413
    for wrong in ("bytes 0-5/3", "bytes 5-2/9", "chars 0-1/2", "bytes */3"):
        assert put(path, b"x", **{"Content-Range": wrong}).status_code == 400, wrong
    assert put(path.replace("~", "~x"), b"x").status_code == 403
    assert put("/device/v1/upload/nothing/", b"x").status_code == 403
    firmware = path.replace("/upload/", "/firmware/")
    assert Client().get(firmware).status_code == 403
    assert not DeviceFile.objects.exists()
    assert put(path, b"x" * 10).status_code == 200


def test_a_link_ends_with_its_command() -> None:
    path = _upload_path(http_unit())

    with time_machine.travel(timezone.now() + timedelta(days=2)):
        assert put(path, b"x").status_code == 410


def test_old_files_are_deleted(settings: Any) -> None:
    path = _upload_path(http_unit())
    put(path, LOG)
    settings.DEVICE_FILE_DAYS = 30
    now = timezone.now()

    assert delete_old_files_across_tenants(now=now + timedelta(days=29)) == 0
    assert delete_old_files_across_tenants(now=now + timedelta(days=31)) == 1
    assert not DeviceFilePart.objects.exists()


def test_firmware_comes_with_a_link_hash_and_size_where_a_release_exists() -> None:
    unit, other = http_unit(), http_unit()
    content = bytes(range(256)) * 20
    release = create_release(
        tenant=unit.device.tenant,
        version="2.0.0",
        file=ContentFile(content, "x.bin"),
        products=[unit.device.product],
    )

    assert sent_params(other, "update_firmware", version="2.0.0") == {
        "version": "2.0.0"
    }
    params = sent_params(unit, "update_firmware", version="2.0.0")

    digest = hashlib.sha256(content).hexdigest()
    assert params.keys() == {"version", "url", "sha256", "size"}
    assert (params["sha256"], params["size"]) == (digest, len(content))
    path = "/device/" + params["url"].partition("/device/")[2]
    whole = Client().get(path)
    assert b"".join(whole) == content
    assert whole["ETag"] == f'"{digest}"'
    rest = {"Range": "bytes=5000-", "If-Range": whole["ETag"]}
    part = Client().get(path, headers=rest)
    assert (part.status_code, b"".join(part)) == (206, content[5000:])
    changed = Client().get(path, headers=rest | {"If-Range": '"other"'})
    assert changed.status_code == 200
    assert Client().get(path, headers={"Range": "bytes=9999-"}).status_code == 416
    assert Client().get(path.replace("~", "~x")).status_code == 403
    release.file.delete(save=False)


def test_a_release_for_another_hardware_is_not_offered() -> None:
    unit = http_unit(adapter="mqtt")
    revision = HardwareRevisionFactory.create(
        tenant=unit.device.tenant, product=unit.device.product
    )
    release = create_release(
        tenant=unit.device.tenant,
        version="2.0.0",
        file=ContentFile(b"x", "x.bin"),
        products=[unit.device.product],
        hardware_revisions=[revision],
    )
    unit.say("heartbeat", {})
    first = ask(Unit(unit.device), "update_firmware", {"version": "2.0.0"})
    (link,) = claim()
    assert b"url" not in link.payload
    assert fresh(first).params == {"version": "2.0.0"}
    release.file.delete(save=False)


def test_the_console_shows_a_file_as_text_with_a_search(client: Client) -> None:
    unit = http_unit()
    put(_upload_path(unit), LOG + b"\xff<b>\n")
    file = DeviceFile.objects.get()
    client.force_login(
        MembershipFactory.create(tenant=unit.device.tenant, role="viewer").user
    )
    page = f"/commands/{file.command.public_id}/files/{file.public_id}/"

    for path in (
        f"/commands/{file.command.public_id}/",
        f"/devices/{unit.device.uid}/",
    ):
        assert page in client.get(path).content.decode()
    whole = client.get(page).content.decode()
    assert "4 lines" in whole
    assert "&lt;b&gt;" in whole
    found = client.get(page, {"q": "MOTOR"}).content.decode()
    assert "1 of 4 lines contain" in found
    assert "two: Motor stopped" in found
    assert "three" not in found
    client.force_login(MembershipFactory.create().user)
    assert client.get(page).status_code == 404


def _upload_path(unit: HttpUnit) -> str:
    url: str = sent_params(unit, "collect_logs")["upload"]["url"]
    return "/device/" + url.partition("/device/")[2]
