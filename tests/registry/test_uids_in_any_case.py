"""Two uids never differ only in upper and lower case, wherever a device comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.db import connection
from django.urls import reverse
from rest_framework.test import APIClient

from registry.models import Device, Product, Site, Tenant
from tests.admin.people import boss
from tests.factories import DeviceFactory
from tests.registry.conftest import fields_of
from tests.registry.enrolment import KEYS, enrol, order

URL = "/api/v1/devices/"
IMPORT = "/api/v1/devices/import/"
LOWER, UPPER = "s1-000001", "S1-000001"


def csv_of(*uids: str) -> str:
    rows = [f"{uid},shanghai-01,sensor-s1\n" for uid in uids]
    return "uid,site,product\n" + "".join(rows)


def ndjson_of(*uids: str) -> str:
    rows = [{"uid": uid, "site": "shanghai-01", "product": "sensor-s1"} for uid in uids]
    return "\n".join(map(json.dumps, rows))


@pytest.mark.usefixtures("site", "product")
def test_rest_refuses_a_uid_that_exists_in_another_case(
    manager: APIClient, acme: Tenant, globex: Tenant
) -> None:
    DeviceFactory(tenant=acme, uid=LOWER)
    DeviceFactory(tenant=globex, uid="their-1")

    for uid in (UPPER, "THEIR-1"):
        body = {"uid": uid, "site": "shanghai-01", "product": "sensor-s1"}
        answer = manager.post(URL, body, format="json")

        assert answer.status_code == 400
        assert fields_of(answer) == {"uid"}
        assert "taken" in answer.json()["errors"][0]["message"]


@pytest.mark.usefixtures("site", "product")
@pytest.mark.parametrize(
    ("text_of", "kind"), [(csv_of, "text/csv"), (ndjson_of, "application/x-ndjson")]
)
@pytest.mark.parametrize(
    ("uids", "line"), [(["Old-1"], 0), (["Their-1"], 0), ([LOWER, UPPER], 1)]
)
def test_an_import_refuses_a_uid_in_another_case(
    manager: APIClient,
    acme: Tenant,
    globex: Tenant,
    text_of: Callable[..., str],
    kind: str,
    uids: list[str],
    line: int,
) -> None:
    DeviceFactory(tenant=acme, uid="old-1")
    DeviceFactory(tenant=globex, uid="their-1")

    answer = manager.post(IMPORT, text_of(*uids), content_type=kind)

    assert answer.status_code == 400, answer.content
    (error,) = answer.json()["errors"]
    first = 2 if text_of is csv_of else 1
    assert (error["field"], error["line"]) == ("uid", first + line)
    assert error["value"] == uids[line]
    assert Device.objects.count() == 2


@pytest.mark.usefixtures("site", "product")
def test_a_device_cannot_enrol_with_a_uid_in_another_case(
    manager: APIClient, acme: Tenant
) -> None:
    DeviceFactory(tenant=acme, uid=LOWER)
    made = manager.post(KEYS, order(), format="json").json()

    answer = enrol(made["key"], uid=UPPER)

    assert answer.status_code == 409
    assert "its uid is taken" in answer.json()["detail"]
    assert manager.get(f"{KEYS}{made['id']}/").json()["used_count"] == 0


def test_the_admin_refuses_a_uid_in_another_case(
    acme: Tenant, site: Site, product: Product
) -> None:
    DeviceFactory(tenant=acme, uid=LOWER)
    form = {
        **{"tenant": acme.pk, "uid": UPPER, "site": site.pk, "product": product.pk},
        **{"kind": "standalone", "adapter": "mqtt", "lifecycle": "provisioned"},
        **{"attributes": "{}", "tags": ""},
    }

    answer = boss().post(reverse("admin:registry_device_add"), form, follow=True)

    assert "taken, in another case" in answer.content.decode()
    assert Device.objects.count() == 1


@pytest.mark.django_db
def test_the_migration_stops_with_the_uids_that_collide(acme: Tenant) -> None:
    migration = import_module("registry.migrations.0016_uids_in_any_case")
    editor = SimpleNamespace(connection=connection)
    migration.refuse_collisions(None, editor)
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX registry_device_uid_once_in_any_case")
    for uid in (LOWER, UPPER, "a-1", "A-1", "alone-1"):
        DeviceFactory(tenant=acme, uid=uid)

    with pytest.raises(ValueError, match="Nothing was changed") as refusal:
        migration.refuse_collisions(None, editor)

    text = str(refusal.value)
    assert {LOWER, UPPER, "a-1", "A-1"} <= set(text.split())
    assert "alone-1" not in text


@pytest.mark.django_db
def test_a_device_is_found_by_the_index_of_exact_uids(acme: Tenant) -> None:
    DeviceFactory(tenant=acme, uid=LOWER)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        cursor.execute("EXPLAIN SELECT id FROM registry_device WHERE uid = 'x'")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "registry_device_uid" in plan
    assert "any_case" not in plan
