"""Files as spreadsheets and people's tools write them: read, or refused in words."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from registry.models import Device, DeviceImport, Product, Site, Tenant
from registry.services.imports.runs import (
    request_import,
    run_next_import_across_tenants,
)
from tests.factories import UserFactory
from tests.registry.test_import_devices import IMPORT, errors_of

CSV, NDJSON = "text/csv", "application/x-ndjson"
GOOD = "uid,site,product\ndev-1,shanghai-01,sensor-s1\n"
ROW = "dev-1,shanghai-01,sensor-s1"
OBJECT = b'"site": "shanghai-01", "product": "sensor-s1"}\n'


@pytest.fixture(autouse=True)
def catalogue(site: Site, product: Product) -> None:
    """The site and the product that the files name."""


def send(client: APIClient, body: bytes | str, kind: str = CSV) -> Any:
    text = body.encode() if isinstance(body, str) else body
    return client.post(IMPORT, text, content_type=kind)


NOT_UTF8 = [
    ("uid,site,product,attributes.größe\n".encode("cp1252"), CSV, "cp1252"),
    (b"uid\xff,site,product\n", CSV, "0xff at position 4"),
    (b"\x81uid,site,product\n", CSV, "another encoding"),
    (gzip.compress(GOOD.encode(), mtime=0), CSV, "gzip"),
    (gzip.compress(GOOD.encode(), mtime=0), NDJSON, "gzip"),
    (b"PK\x03\x04\x14\x00", CSV, "xlsx"),
    (GOOD.encode("utf-16"), CSV, "UTF-16"),
    (GOOD.encode("utf-16-le"), CSV, "UTF-16"),
    (GOOD.encode("utf-16-be"), CSV, "UTF-16"),
    (GOOD.encode("utf-32"), CSV, "UTF-32"),
    (GOOD.encode("utf-32-le"), CSV, "UTF-32"),
    ("\ufeff".encode("utf-32-be") + GOOD.encode("utf-32-be"), CSV, "UTF-32"),
    (b'{"uid\xff": 1, ' + OBJECT, NDJSON, "0xff at position 6"),
    (b'{"uid\\ud800": 1, ' + OBJECT, NDJSON, "Not UTF-8"),
]


@pytest.mark.parametrize(("body", "kind", "word"), NOT_UTF8)
def test_a_file_that_is_not_utf8_is_refused_and_says_what_it_looks_like(
    manager: APIClient, acme: Tenant, body: bytes, kind: str, word: str
) -> None:
    answer = send(manager, body, kind)

    assert 1 in {line for line, _field in errors_of(answer)}
    message = answer.json()["errors"][0]["message"]
    assert message.startswith("Not UTF-8")
    assert word in message

    # The same file by the admin: the run ends as refused, with the same words.
    request_import(
        tenant=acme,
        file=SimpleUploadedFile("d.csv", body),
        file_format="csv" if kind == CSV else "ndjson",
        is_dry_run=False,
        actor=UserFactory(is_superuser=True),
    )
    assert run_next_import_across_tenants(now=datetime.now(UTC))
    run = DeviceImport.objects.get()
    assert run.status == "refused"
    assert run.errors[0]["message"] == message


@pytest.mark.parametrize(
    "body",
    [
        b"uid,site,product,attributes\ndev-1,shanghai-01,sensor-s1,"
        b'"{""a"": ""\\ud800""}"\n',
        b"uid,site,product,attributes\ndev-1,shanghai-01,sensor-s1,"
        b'"{""a\\u0000"": 1}"\n',
        b"uid,site,product,attributes.battery_rev\ndev-1,shanghai-01,sensor-s1,\xff\n",
        b"uid,site,product,tags\ndev-1,shanghai-01,sensor-s1,\xff\n",
        b"uid,site,product,space\ndev-1,shanghai-01,sensor-s1,\xff\n",
        b"sep=;\nuid;site;product;attributes.\xff\n" + ROW.encode(),
    ],
)
def test_bytes_that_cannot_be_stored_are_refused_at_their_line(
    manager: APIClient, body: bytes
) -> None:
    answer = send(manager, body)

    assert {line for line, _field in errors_of(answer)} == {2}
    assert not Device.objects.exists()


@pytest.mark.parametrize(
    ("header", "cell", "word"),
    [
        ("name", "Größe".encode("cp1252"), "cp1252"),
        ("attributes.note", "Größe".encode("cp1252"), "cp1252"),
        ("name", b"\x81", "another encoding"),
        ("name", b"a\0", "without NUL"),
        ("attributes.note", b"\xff\0", "without NUL"),
    ],
)
def test_a_value_of_another_encoding_says_what_to_do(
    manager: APIClient, header: str, cell: bytes, word: str
) -> None:
    first = f"uid,site,product,{header}\n{ROW},".encode()

    (error,) = send(manager, first + cell + b"\n").json()["errors"]

    assert error["line"] == 2
    assert word in error["message"]
    assert ("Save it as UTF-8" in error["message"]) == (word != "without NUL")


def test_values_that_are_nested_too_deeply_are_refused(
    manager: APIClient, product: Product
) -> None:
    product.attributes_schema = {"properties": {"count": {"type": "integer"}}}
    product.save()
    deep = "[" * 100_000
    column = send(manager, f"uid,site,product,attributes.count\n{ROW},{deep}\n")
    line = send(manager, f'{{"uid": {deep}\n', NDJSON)

    assert errors_of(column) == {(2, "attributes.count")}
    assert line.json()["errors"][0]["message"] == "Nested too deeply."


def test_an_import_that_breaks_ends_as_failed(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ValueError("broken\0\ud800")

    monkeypatch.setattr("registry.services.imports.runs.import_devices", fail)
    # Else the report of this test holds what no text between two processes can.
    monkeypatch.setattr("registry.services.imports.runs.logger.disabled", True)
    request_import(
        tenant=acme,
        file=SimpleUploadedFile("d.csv", GOOD.encode()),
        file_format="csv",
        is_dry_run=False,
        actor=UserFactory(is_superuser=True),
    )

    assert run_next_import_across_tenants(now=datetime.now(UTC))

    run = DeviceImport.objects.get()
    assert run.status == "failed"
    assert "broken\\0\\ud800" in run.detail


@pytest.mark.parametrize(
    "text",
    [
        f"uid,site,product\n,,\n{ROW}\n,,,\n  , ,\n\n",
        f"uid,site,product,\n{ROW},\n",
        f"uid,site,product,,\n{ROW}\n",
        f"sep=,\r\nuid,site,product\r\n{ROW}\r\n",
        f'"sep=;"\nuid;site;product\n{ROW.replace(",", ";")}\n',
        f'uid;site;product;tags\n{ROW.replace(",", ";")};"a;b"\n',
        f"uid\tsite\tproduct\n{ROW}\n".replace(",", "\t"),
        f"\ufeff{GOOD}",
        f'\ufeff"uid";"site";"product"\r\n{ROW}\r\n'.replace(",", ";"),
    ],
)
def test_a_file_of_a_spreadsheet_is_read(manager: APIClient, text: str) -> None:
    answer = send(manager, text)

    assert answer.json() == {"created": 1}, answer.json()
    assert Device.objects.get().uid == "dev-1"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (GOOD.replace("\n", "\r"), 1, "CR alone"),
        (GOOD.replace("\n", "\r") * 30_000, 1, "CR alone"),
        (f"{GOOD}dev-2,shanghai-01,sensor-s1\rdev-3,", 3, "CR alone"),
        ("uid|site|product\n", 1, "a comma, a semicolon, a tab"),
        ("sep=|\nuid|site|product\n", 1, "a comma, a semicolon, a tab"),
        ("uid,,site\n", 1, "Column 2 has no name"),
        (f"sep=,\nuid,site,product\n,,\nbad uid{ROW[5:]}\n", 4, "letters"),
        (f'{GOOD}"dev-2,shanghai-01\n', 3, "quotation mark is not closed"),
        ("uid;site;produce\n", 1, "no such field"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_at_its_line(
    manager: APIClient, text: str, line: int, words: str
) -> None:
    answer = send(manager, text)

    assert {line for line, _field in errors_of(answer)} == {line}
    assert words in answer.json()["errors"][0]["message"]
    assert not Device.objects.exists()


def test_ndjson_with_cr_alone_says_so(manager: APIClient) -> None:
    lines = (b'{"uid": "dev-1", ' + OBJECT).replace(b"\n", b"\r") * 2

    answer = send(manager, lines, NDJSON)

    assert errors_of(answer) == {(1, "")}
    assert "CR alone" in answer.json()["errors"][0]["message"]


def test_a_body_that_is_longer_than_any_is_413_before_it_is_read(
    manager: APIClient, settings: Any
) -> None:
    settings.FIRMWARE_MAX_BYTES = -999_990  # with the envelope: ten bytes

    answer = send(manager, GOOD)

    assert answer.status_code == 413, answer.content
    assert "at most 10 bytes" in answer.json()["detail"]
