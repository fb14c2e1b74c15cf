"""Exporting the devices of a search: columns, formats, order, faults."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from fleet.backends.documents import FleetDocument
from fleet.backends.engine import IndexFault, Writer
from fleet.backends.tantivy_search import Search
from fleet.fields import FIELDS
from fleet.selectors import exports
from fleet.selectors.exports import open_export
from fleet.services.indexing import Indexer
from registry.models import Tenant
from tests.factories import DeviceFactory, MembershipFactory, TenantFactory
from tests.fleet.rows import find, make_telemetry

pytestmark = pytest.mark.django_db
URL = "/api/v1/fleet/export/"


def reader_of(tenant: Tenant) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory(tenant=tenant).user)
    return client


def ask(client: APIClient, **query: Any) -> str:
    """Return the whole file."""
    answer = client.get(URL, {"q": "*"} | query)
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.fixture
def tenant(indexer: Indexer) -> Tenant:
    """Two devices; the texts of one look like formulas."""
    declared = {"properties": {"rev": {"searchable": True}}}
    first = DeviceFactory.create(
        uid="dev-1",
        name="=HYPERLINK(1)",
        serial="+1",
        tags=["@winter", "b"],
        product__attributes_schema=declared,
        attributes={"rev": "-B"},
    )
    make_telemetry(first, rssi=-71.0, battery=80)
    DeviceFactory.create(
        uid="Dev-0", tenant=first.tenant, site=first.site, product=first.product
    )
    DeviceFactory.create(uid="dev-of-another")
    indexer.drain()
    made: Tenant = first.tenant
    return made


def test_a_csv_file_has_the_columns_that_were_asked_for_in_their_order(
    tenant: Tenant,
) -> None:
    text = ask(reader_of(tenant), fields="serial,uid,tag,attr.rev,attr,drift,project")

    header, *rows = table(text)
    assert header == ["serial", "uid", "tags", "attr.rev", "attr", "drift", "project"]
    assert [row[1] for row in rows] == [
        row["uid"] for row in find(tenant, "*", sort="uid").results
    ]
    # Rows in full: a formula, a list and an object each have one plain form.
    assert rows[1] == [
        "'+1",
        "dev-1",
        "'@winter;b",
        "'-B",
        '{"rev": "-B"}',
        "false",
        "",
    ]


def test_no_cell_of_a_csv_file_begins_as_a_formula(tenant: Tenant) -> None:
    header, *rows = table(ask(reader_of(tenant)))

    assert header == [field.name for field in FIELDS]
    assert not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r")]
    assert dict(zip(header, rows[1], strict=True))["name"] == "'=HYPERLINK(1)"


def test_ndjson_has_the_documents_unchanged(tenant: Tenant) -> None:
    client = reader_of(tenant)
    lines = ask(client, format="ndjson").splitlines()
    chosen = ask(client, format="ndjson", fields="name,rssi,attr.rev", q="uid:dev-1")

    assert [json.loads(line) for line in lines] == find(tenant, "*").results
    row = {"name": "=HYPERLINK(1)", "rssi": -71.0, "attr.rev": "-B"}
    assert [json.loads(line) for line in chosen.splitlines()] == [row]


@pytest.mark.parametrize(
    ("query", "field", "meant"),
    [
        ({"fields": "uid,firmwar"}, "fields", "firmware"),
        ({"fields": "attr.rve"}, "fields", "attr.rev"),
        ({"fields": "uid,"}, "fields", None),
        ({"format": "xml"}, "format", None),
        ({"q": "regin:x"}, "q", "region"),
        ({"q": ""}, "q", None),
        ({"feilds": "uid"}, "feilds", "fields"),
        ({"wait_indexed": "yes"}, "wait_indexed", None),
    ],
)
def test_a_wrong_request_is_refused_before_a_file_begins(
    tenant: Tenant, query: dict[str, str], field: str, meant: str | None
) -> None:
    answer = reader_of(tenant).get(URL, {"q": "*"} | query)

    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["field"], error.get("did_you_mean")) == (field, meant)


def test_an_export_while_there_is_no_index_is_unavailable(index_dir: Path) -> None:
    answer = reader_of(TenantFactory()).get(URL, {"q": "*"})

    assert answer.status_code == 503


def test_a_change_during_an_export_moves_no_device(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 10)
    tenant = TenantFactory.create()

    def put(uids: dict[int, str]) -> None:
        writer.put(
            FleetDocument(n, tenant.pk, {"uid": uid, "name": "x"})
            for n, uid in uids.items()
        )
        writer.commit()

    put({number: f"dev-{number:02}" for number in range(45)})
    seen: list[str] = []
    export = open_export(tenants=[tenant], q="*", fields=["uid"])
    for number, part in enumerate(export.ndjson()):
        seen += [json.loads(line)["uid"] for line in part.splitlines()]
        writer.remove([44 - number])  # gone, renamed behind the page, and new
        put({number: f"z-{number}", 100 + number: f"a-{number}"})

    assert seen == [f"dev-{number:02}" for number in range(45)]


def test_an_export_that_breaks_off_does_not_look_complete(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PAGE", 1)
    page, calls = Search.page, []

    def fails_later(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) > 1:
            raise IndexFault("a file is gone")
        return page(*args, **options)

    monkeypatch.setattr(Search, "page", fails_later)
    for name in ("csv", "ndjson"):
        calls.clear()
        answer: Any = reader_of(tenant).get(URL, {"q": "*", "format": name})
        lines = []

        with pytest.raises(IndexFault):  # the web server cuts the connection
            lines.extend(answer.streaming_content)

        assert b"not complete" in lines[-1]


def test_a_member_of_another_tenant_exports_nothing_of_it(tenant: Tenant) -> None:
    stranger = DeviceFactory.create().tenant

    assert len(table(ask(reader_of(stranger), q="* OR uid:dev-1"))) == 1
