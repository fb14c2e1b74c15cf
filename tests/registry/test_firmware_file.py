"""The file of a release: whole or in parts, for people who manage in its tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from rest_framework.test import APIClient

from registry.choices import Role
from registry.models import FirmwareRelease, Product, Site, Tenant
from registry.services.firmware import create_release
from tests.admin.people import boss, messages_of, staff_of

BYTES = bytes(range(256)) * 20_000  # more than one piece


@pytest.fixture(autouse=True)
def release(
    settings: Any, tmp_path: Path, acme: Tenant, product: Product
) -> FirmwareRelease:
    """A release of acme with its file in a storage for this test alone."""
    settings.MEDIA_ROOT = tmp_path
    return create_release(
        tenant=acme, version="1.5.0", file=ContentFile(BYTES), products=[product]
    )


def in_rest(release: FirmwareRelease) -> str:
    return f"/api/v1/firmware-releases/{release.public_id}/file/"


def in_admin(release: FirmwareRelease) -> str:
    return reverse("admin:registry_firmwarerelease_file", args=[release.pk])


def held_to_be_the_file(answer: Any) -> None:
    assert answer.status_code == 200
    named = 'attachment; filename="firmware-1.5.0.bin"'
    assert answer["Content-Disposition"] == named
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Length"] == str(len(BYTES))
    assert answer.streaming
    pieces = list(answer.streaming_content)
    assert len(pieces) > 1
    assert b"".join(pieces) == BYTES


@pytest.mark.parametrize("accept", ["*/*", "application/octet-stream", "text/html"])
def test_a_manager_gets_the_file_whatever_the_accept_header_says(
    manager: APIClient, release: FirmwareRelease, accept: str
) -> None:
    held_to_be_the_file(manager.get(in_rest(release), headers={"Accept": accept}))


def test_staff_who_manage_get_the_file_in_the_admin(
    acme: Tenant, site: Site, release: FirmwareRelease
) -> None:
    for client in (
        boss(),
        staff_of(acme, Role.MANAGER),
        staff_of(acme, Role.MANAGER, site),  # limited members read and do not manage
    ):
        page = reverse("admin:registry_firmwarerelease_change", args=[release.pk])
        assert in_admin(release) in client.get(page).content.decode()
        held_to_be_the_file(client.get(in_admin(release)))


def test_nobody_else_gets_the_file(
    acme: Tenant,
    globex: Tenant,
    act_as: Any,
    stranger: APIClient,
    release: FirmwareRelease,
) -> None:
    for role in (Role.VIEWER, Role.OPERATOR, Role.APPROVER):
        assert act_as(role).get(in_rest(release)).status_code == 403
        assert staff_of(acme, role).get(in_admin(release)).status_code == 302
    assert act_as(Role.MANAGER, "operate").get(in_rest(release)).status_code == 403
    assert APIClient().get(in_rest(release)).status_code == 401
    assert stranger.get(in_rest(release)).status_code == 404
    theirs = staff_of(globex, Role.ADMIN)
    assert theirs.get(in_admin(release)).status_code == 404


def test_a_missing_file_is_reported(
    manager: APIClient, release: FirmwareRelease
) -> None:
    release.file.storage.delete(str(release.file.name))

    rest = manager.get(in_rest(release))
    admin = boss().get(in_admin(release), follow=True)

    assert rest.status_code == 404
    assert rest.json()["detail"] == "The file is not in the storage any more."
    assert messages_of(admin) == ["The file is not in the storage any more."]


def test_a_range_is_answered_with_that_part(
    manager: APIClient, release: FirmwareRelease
) -> None:
    size, etag = len(BYTES), f'"{release.sha256}"'
    parts = {
        "bytes=0-99": (0, 100),
        "bytes=5000000-": (5_000_000, size),
        "bytes=-10": (size - 10, size),
        f"bytes=-{size + 1}": (0, size),
        f"bytes=100-{size + 9}": (100, size),
        "Bytes= 7-7 ": (7, 8),
    }

    for header, (start, stop) in parts.items():
        for client, url in ((manager, in_rest(release)), (boss(), in_admin(release))):
            answer: Any = client.get(url, headers={"Range": header})

            assert answer.status_code == 206, header
            assert answer.getvalue() == BYTES[start:stop], header
            assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
            assert answer["Content-Length"] == str(stop - start)
            assert answer["Content-Type"] == "application/octet-stream"
            assert answer["ETag"] == etag
            assert answer["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "header",
    [
        *("bytes=0-9,20-29", "bytes=9-0", "bytes=-", "bytes=x", "bytes", "lines=0-9"),
        f"bytes=0-{'9' * 5_000}",
    ],
)
def test_several_ranges_and_one_that_is_not_valid_get_the_whole_file(
    manager: APIClient, release: FirmwareRelease, header: str
) -> None:
    held_to_be_the_file(manager.get(in_rest(release), headers={"Range": header}))


@pytest.mark.parametrize("header", [f"bytes={len(BYTES)}-", "bytes=-0"])
def test_a_range_after_the_end_of_the_file_is_refused(
    manager: APIClient, release: FirmwareRelease, header: str
) -> None:
    for client, url in ((manager, in_rest(release)), (boss(), in_admin(release))):
        answer: Any = client.get(url, headers={"Range": header})

        assert answer.status_code == 416
        assert answer["Content-Range"] == f"bytes */{len(BYTES)}"
        assert answer["Content-Type"] == "application/problem+json"


def test_a_part_of_another_version_is_not_sent(
    manager: APIClient, release: FirmwareRelease
) -> None:
    def with_condition(condition: str) -> Any:
        headers = {"Range": "bytes=0-99", "If-Range": condition}
        return manager.get(in_rest(release), headers=headers)

    assert with_condition(f'"{release.sha256}"').status_code == 206
    for other in (
        '"0"',
        f'W/"{release.sha256}"',
        release.sha256,
        "Sat, 14 Mar 2026 02:30:00 GMT",
    ):
        held_to_be_the_file(with_condition(other))


def test_a_version_that_the_caller_has_is_not_sent_again(
    manager: APIClient, release: FirmwareRelease
) -> None:
    etag = f'"{release.sha256}"'

    for known in (etag, f'"0", W/{etag}', "*"):
        for more in ({}, {"Range": "bytes=0-99"}):
            headers = {"If-None-Match": known} | more
            answer: Any = manager.get(in_rest(release), headers=headers)

            assert answer.status_code == 304
            assert answer["ETag"] == etag
            assert answer.content == b""
    held_to_be_the_file(manager.get(in_rest(release), headers={"If-None-Match": '"0"'}))


def test_a_range_does_not_count_for_head(
    manager: APIClient, release: FirmwareRelease
) -> None:
    answer = manager.head(in_rest(release), headers={"Range": "bytes=0-99"})

    assert answer.status_code == 200
    assert answer["Content-Length"] == str(len(BYTES))
