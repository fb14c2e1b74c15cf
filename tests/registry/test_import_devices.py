"""Imports of device files: all or nothing, with every error by its line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import (
    Device,
    LifecycleMove,
    MembershipLimit,
    Product,
    Site,
    Tenant,
)
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
)
from tests.registry.conftest import ActAs, client_of
from tests.registry.parts import parts_of

IMPORT, EXPORT = "/api/v1/devices/import/", "/api/v1/devices/export/"


def send(client: APIClient, text: str, kind: str = "text/csv", query: str = "") -> Any:
    return client.post(IMPORT + query, text.encode(), content_type=kind)


def errors_of(answer: Any) -> set[tuple[int, str]]:
    assert answer.status_code == 400, answer.content
    return {(row["line"], row["field"]) for row in answer.json()["errors"]}


def body_of(answer: Any) -> str:
    return b"".join(answer.streaming_content).decode()


@pytest.fixture(autouse=True)
def catalogue(site: Site, product: Product) -> None:
    """The site and the product that the files name."""


def test_a_csv_file_registers_its_devices(manager: APIClient, acme: Tenant) -> None:
    hub = ProductFactory(tenant=acme, slug="hub-h1", kind="gateway")
    text = (
        "uid,name,serial,site,product,kind,gateway,tags,attributes.battery_rev\r\n"
        "dev-1,Boiler,S1,shanghai-01,sensor-s1,,,winter;roof,B\r\n"
        "hub-1,,,shanghai-01,hub-h1,,,,\r\n"
        "kid-1,,,shanghai-01,sensor-s1,child,hub-1,,\r\n"
    )

    answer = send(manager, text)

    assert answer.json() == {"created": 3}, answer.json()
    device = Device.objects.get(uid="dev-1")
    assert (device.name, device.serial, device.tags) == (
        "Boiler",
        "S1",
        ["winter", "roof"],
    )
    assert device.attributes == {"battery_rev": "B"}
    assert device.lifecycle == "provisioned"
    child = Device.objects.get(uid="kid-1")
    assert child.gateway is not None
    assert child.gateway.uid == "hub-1"
    assert Device.objects.get(uid="hub-1").product == hub
    move = LifecycleMove.objects.get(device=device)
    assert (move.moved_to, move.reason) == ("provisioned", "imported")
    assert move.actor is not None


def test_ndjson_registers_its_devices(manager: APIClient) -> None:
    rows = [
        {"uid": "dev-1", "site": "shanghai-01", "product": "sensor-s1", "tags": ["a"]},
        {"uid": "dev-2", "site": "shanghai-01", "product": "sensor-s1", "name": "Zoë"},
    ]
    text = "\n".join(json.dumps(row) for row in rows) + "\n\n"

    answer = send(manager, text, "application/x-ndjson")

    assert answer.json() == {"created": 2}
    assert Device.objects.get(uid="dev-2").name == "Zoë"


def test_every_line_is_checked_and_nothing_is_written(
    manager: APIClient, acme: Tenant, globex: Tenant
) -> None:
    DeviceFactory(tenant=acme, uid="old-1", serial="S1")
    DeviceFactory(tenant=globex, uid="theirs-1")
    SiteFactory(tenant=globex, slug="munich-01")
    text = (
        "uid,serial,site,product,kind,gateway,adapter,tags,attributes\n"
        "good-1,,shanghai-01,sensor-s1,,,,,\n"  # 2
        "bad uid,,shanghai-01,sensor-s1,,,,,\n"
        "dev-4,,munich-01,sensor-s1,,,,,\n"  # another tenant's site
        "dev-5,,shanghai-01,nothing,,,,,\n"
        "dev-6,,shanghai-01,sensor-s1,child,,,,\n"
        "dev-7,,shanghai-01,sensor-s1,child,nowhere,,,\n"
        "dev-8,,shanghai-01,sensor-s1,child,old-1,,,\n"  # no gateway
        "dev-9,,shanghai-01,sensor-s1,,,pigeon,,\n"
        "dev-10,,shanghai-01,sensor-s1,,,,not a tag,\n"
        'dev-11,,shanghai-01,sensor-s1,,,,,"{""battery_rev"": ""Z""}"\n'
        "dev-12,,shanghai-01,sensor-s1,,,,,{\n"
        "good-1,,shanghai-01,sensor-s1,,,,,\n"  # 13: named twice
        "old-1,,shanghai-01,sensor-s1,,,,,\n"  # taken
        "theirs-1,,shanghai-01,sensor-s1,,,,,\n"  # taken, by whom is not said
        "dev-16,S1,shanghai-01,sensor-s1,,,,,\n"
        "dev-17,too,few\n"
    )

    answer = send(manager, text)

    assert errors_of(answer) == {
        (3, "uid"),
        (4, "site"),
        (5, "product"),
        (6, "gateway"),
        (7, "gateway"),
        (8, "gateway"),
        (9, "adapter"),
        (10, "tags"),
        (11, "attributes.battery_rev"),
        (12, "attributes"),
        (13, "uid"),
        (14, "uid"),
        (15, "uid"),
        (16, "serial"),
        (17, ""),
    }
    assert all("value" in row and row["message"] for row in answer.json()["errors"])
    assert set(Device.objects.values_list("uid", flat=True)) == {"old-1", "theirs-1"}
    assert not LifecycleMove.objects.exists()


def test_a_dry_run_reports_the_result_and_writes_nothing(manager: APIClient) -> None:
    text = "uid,site,product\ndev-1,shanghai-01,sensor-s1\n"

    answer = send(manager, text, query="?dry_run=1")
    wrong = send(manager, text + "dev-1,shanghai-01,sensor-s1\n", query="?dry_run=1")

    assert answer.json() == {"created": 1}
    assert errors_of(wrong) == {(3, "uid")}
    assert not Device.objects.exists()


@pytest.mark.parametrize(
    ("kind", "text", "place"),
    [
        ("text/csv", "", ""),
        ("text/csv", "uid,colour\n", "colour"),
        ("text/csv", "uid,uid\n", "uid"),
        ("text/csv", "uid,lifecycle\n", "lifecycle"),
        ("text/csv", 'uid,site\n"dev-1,x\n', ""),
        ("application/x-ndjson", "[1]\n", ""),
        ("application/x-ndjson", "{\n", ""),
        ("application/x-ndjson", '{"uid": 7}\n', "uid"),
        ("application/x-ndjson", '{"uid": "a", "id": 1}\n', "id"),
        ("application/x-ndjson", '{"uid": "a", "tags": "x"}\n', "tags"),
        ("application/x-ndjson", '{"uid": "a", "name": "\\u0000"}\n', "name"),
        ("application/x-ndjson", '{"uid": "a", "name": "\\ud800"}\n', "name"),
        ("application/x-ndjson", '{"uid": "a", "attributes": NaN}\n', "site"),
        ("application/x-ndjson", "[" * 100_000, ""),
    ],
)
def test_an_unreadable_file_is_refused_with_the_reason(
    manager: APIClient, kind: str, text: str, place: str
) -> None:
    answer = send(manager, text, kind)

    assert answer.status_code == 400, answer.content
    assert place in {row["field"] for row in answer.json()["errors"]}
    assert not Device.objects.exists()


def test_bytes_that_are_not_utf8_are_refused_at_their_line(manager: APIClient) -> None:
    good = b"uid,name,site,product\ndev-1,x,shanghai-01,sensor-s1\n"
    bad = b"dev-2,\xff,shanghai-01,sensor-s1\n"

    answer = manager.post(IMPORT, good + bad, content_type="text/csv")

    assert errors_of(answer) == {(3, "name")}


def test_a_body_of_another_kind_is_refused(manager: APIClient) -> None:
    assert manager.post(IMPORT, {"uid": "dev-1"}, format="json").status_code == 415


def test_only_a_manager_of_the_tenant_may_import(
    viewer: APIClient, stranger: APIClient, act_as: ActAs
) -> None:
    text = "uid,site,product\ndev-1,shanghai-01,sensor-s1\n"

    assert send(viewer, text).status_code == 403
    assert send(act_as("approver"), text).status_code == 403
    assert errors_of(send(stranger, text)) == {(2, "site"), (2, "product")}
    assert send(stranger, text, query="?tenant=acme").status_code == 404
    assert not Device.objects.exists()


def test_the_file_names_the_tenant_for_somebody_who_belongs_to_several(
    acme: Tenant, globex: Tenant
) -> None:
    person = MembershipFactory(tenant=acme, role="manager").user
    MembershipFactory(tenant=globex, user=person, role="viewer")
    client = client_of(person)
    row = {"uid": "dev-1", "site": "shanghai-01", "product": "sensor-s1"}
    text = "uid,tenant,site,product\ndev-1,{},shanghai-01,sensor-s1\n"

    unnamed = send(client, json.dumps(row), "application/x-ndjson")
    empty = send(client, "")
    viewed, unknown = (send(client, text.format(name)) for name in ("globex", "nope"))
    mixed = send(client, text.format("acme") + "dev-2,globex,shanghai-01,sensor-s1\n")
    as_csv = send(client, text.format("acme"))
    named = json.dumps(row | {"uid": "dev-3", "tenant": "acme"})
    as_ndjson = send(client, named, "application/x-ndjson")

    for answer in (unnamed, empty, unknown):
        assert [row["field"] for row in answer.json()["errors"]] == ["tenant"]
    assert (unnamed.status_code, unknown.status_code, viewed.status_code) == (
        *(400, 400, 403),
    )
    assert errors_of(mixed) == {(3, "tenant")}
    assert as_csv.json() == as_ndjson.json() == {"created": 1}
    assert set(Device.objects.values_list("uid", "tenant__slug")) == {
        *(("dev-1", "acme"), ("dev-3", "acme")),
    }


def test_a_limited_manager_imports_and_exports_within_the_limit(
    acme: Tenant, site: Site
) -> None:
    SiteFactory(tenant=acme, slug="far-01")
    DeviceFactory(tenant=acme, uid="far-hub", kind="gateway")
    member = MembershipFactory(tenant=acme, role="manager")
    MembershipLimit.objects.create(membership=member, tenant=acme, site=site)
    client = client_of(member.user)
    text = "uid,site,product,kind,gateway\ndev-1,shanghai-01,sensor-s1,,\n"
    beyond = "dev-2,far-01,sensor-s1,,\ndev-3,shanghai-01,sensor-s1,child,far-hub\n"

    refused = send(client, text + beyond)
    taken = send(client, text)

    assert errors_of(refused) == {(3, "site"), (4, "gateway")}
    assert taken.json() == {"created": 1}
    exported = body_of(client.get(EXPORT))
    assert "dev-1" in exported
    assert "far-hub" not in exported


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_what_is_exported_can_be_imported_again(
    manager: APIClient, acme: Tenant, globex: Tenant, name: str
) -> None:
    kind = {"csv": "text/csv", "ndjson": "application/x-ndjson"}[name]
    ProductFactory(tenant=acme, slug="hub-h1", kind="gateway")
    parts_of(acme)
    lines = (
        "uid,name,serial,site,space,product,batch,kind,gateway,tags,attributes\n"
        'dev-1,"a, ""b""\nc",S1,shanghai-01,here,sensor-s1,batch-a,,,x;y,'
        '"{""battery_rev"": ""A""}"\n'
        "hub-1,,,shanghai-01,,hub-h1,,,,,\n"
        "kid-1,,,shanghai-01,,sensor-s1,,child,hub-1,,\n"
    )
    assert send(manager, lines).json() == {"created": 3}
    assert Device.objects.get(uid="dev-1").hardware_revision is not None
    DeviceFactory(tenant=globex, uid="theirs-1")
    before = list(Device.objects.filter(tenant=acme).order_by("uid").values_list())
    exported = body_of(manager.get(f"{EXPORT}?format={name}"))
    Device.objects.filter(kind="child").delete()
    Device.objects.filter(tenant=acme).delete()

    answer = send(manager, exported, kind)

    assert answer.json() == {"created": 3}, answer.json()
    after = list(Device.objects.filter(tenant=acme).order_by("uid").values_list())
    assert [_same(row) for row in after] == [_same(row) for row in before]
    assert "theirs-1" not in exported


def _same(row: tuple[Any, ...]) -> list[Any]:
    """Leave out keys and times."""
    keys = {"id", "public_id", "gateway", "created_at", "updated_at"}
    names = [field.name for field in Device._meta.concrete_fields]
    return [cell for name, cell in zip(names, row, strict=True) if name not in keys]


def test_an_export_honours_the_filters_of_the_list(
    manager: APIClient, acme: Tenant
) -> None:
    DeviceFactory(tenant=acme, uid="dev-1", tags=["winter"])
    DeviceFactory(tenant=acme, uid="dev-2")

    rows = list(
        csv.DictReader(io.StringIO(body_of(manager.get(f"{EXPORT}?tag=winter"))))
    )

    assert [row["uid"] for row in rows] == ["dev-1"]
    assert rows[0]["tags"] == "winter"
    assert manager.get(f"{EXPORT}?format=xml").status_code == 400
