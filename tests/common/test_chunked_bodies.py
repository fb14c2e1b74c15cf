"""Bodies in chunks and long URLs are read like any others: by a real gunicorn."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from iotplatform.common.uploads import ENVELOPE_BYTES
from registry.choices import TokenScope
from registry.models import Device, Membership
from registry.services.credentials import issue_credential
from registry.services.tokens import create_token
from state.models import TelemetrySummary
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
)
from tests.waiting import PATIENCE
from tests.web_process import web_process

pytestmark = pytest.mark.django_db(transaction=True)

MOST = 5_000_000  # the largest firmware file of these tests
FORM = "multipart/form-data; boundary=x"
HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]


@pytest.fixture(scope="module")
def port(django_db_setup: None) -> Iterator[int]:
    """The port of a gunicorn on the test's database."""
    with web_process(FIRMWARE_MAX_BYTES=str(MOST)) as found:
        yield found


@pytest.fixture
def member() -> Membership:
    """A manager of a tenant with the site ``s-1`` and the product ``p-1``."""
    found: Membership = MembershipFactory.create(role="manager")
    SiteFactory.create(tenant=found.tenant, slug="s-1")
    ProductFactory.create(tenant=found.tenant, slug="p-1")
    return found


@pytest.fixture
def key(member: Membership) -> str:
    """The header of the manager's key."""
    _, key = create_token(user=member.user, name="test", scopes=TokenScope.values)
    return f"Token {key}"


def send(
    port: int,
    method: str,
    path: str,
    parts: Iterable[bytes],
    *,
    authorization: str = "",
    kind: str = "application/json",
) -> tuple[int, Any]:
    """Send the parts as chunks; return the status and the document of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"Content-Type": kind, "Transfer-Encoding": "chunked"}
    if authorization:
        headers["Authorization"] = authorization
    try:
        connection.request(method, path, parts, headers, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        pass  # refused before it was sent
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    return answer.status, document


def halves(document: Any) -> list[bytes]:
    text = json.dumps(document).encode()
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def test_a_chunked_patch_changes_the_device(
    port: int, member: Membership, key: str
) -> None:
    device = DeviceFactory.create(tenant=member.tenant)
    path = f"/api/v1/devices/{device.uid}/"

    status, shown = send(
        port, "PATCH", path, halves({"name": "Boiler"}), authorization=key
    )

    assert (status, shown["name"]) == (200, "Boiler")
    device.refresh_from_db()
    assert device.name == "Boiler"


def test_chunked_telemetry_of_a_device_is_stored(port: int) -> None:
    device = DeviceFactory.create(adapter="http")
    secret = issue_credential(device).secret

    answer = send(
        port,
        "POST",
        "/device/v1/telemetry/",
        halves({"metrics": {"temperature": 21.5}}),
        authorization=f"Device {device.uid}:{secret}",
    )

    assert answer == (200, {"taken": 1})
    latest = TelemetrySummary.objects.get(device=device).latest
    assert latest["temperature"]["value"] == 21.5


def test_a_chunked_file_is_imported(port: int, key: str) -> None:
    lines = [b"uid,site,product\n"] + [f"dev-{n},s-1,p-1\n".encode() for n in range(9)]

    answer = send(
        port,
        "POST",
        "/api/v1/devices/import/",
        lines,
        authorization=key,
        kind="text/csv",
    )

    assert answer == (200, {"created": 9})
    assert Device.objects.count() == 9


def test_a_chunked_sign_in_returns_a_key(
    port: int, member: Membership, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = HASHERS  # gunicorn does not use the tests' one
    member.user.set_password("a long password")
    member.user.save()
    given = {"username": member.user.username, "password": "a long password"}

    status, document = send(port, "POST", "/api/v1/auth/token/", halves(given))

    assert status == 200, document
    assert document["token"].startswith("iot_")


def test_a_query_that_is_too_long_for_a_url_is_a_bad_query(port: int, key: str) -> None:
    path = f"/api/v1/fleet/search/?q={quote('上海 ' * 1_500)}"

    status, document = send(port, "GET", path, [], authorization=key)

    assert (status, document["errors"][0]["position"]) == (400, 4_000)


@pytest.mark.parametrize(
    ("path", "kind", "most"),
    [
        ("devices/", "application/json", 2_621_440),  # Django's own limit
        ("devices/import/", "text/csv", MOST + ENVELOPE_BYTES),
        (
            "firmware-releases/",
            "multipart/form-data; boundary=x",
            MOST + ENVELOPE_BYTES,
        ),
    ],
)
def test_a_chunked_body_that_is_too_long_is_413(
    port: int, key: str, path: str, kind: str, most: int
) -> None:
    path = f"/api/v1/{path}"
    parts = [b"a" * 1_000_000] * (most // 1_000_000) + [b"a" * 1_000_000]

    status, document = send(port, "POST", path, parts, authorization=key, kind=kind)

    assert status == 413, document
    assert str(most) in document["detail"]
    assert not Device.objects.exists()


def test_a_body_of_bad_chunks_is_400(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"Transfer-Encoding": "chunked"}

    connection.request("POST", "/api/v1/auth/token/", b"not-a-size\r\n", headers)
    answer = connection.getresponse()

    assert answer.status == 400
    assert "not valid chunks" in json.loads(answer.read())["detail"]
    connection.close()
