"""Objects with a slug over REST, and who may do what to them."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import HardwareRevision, Project, Site, Tenant
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    SpaceFactory,
    TenantFactory,
)

KINDS: dict[str, Any] = {
    "projects": ProjectFactory,
    "sites": SiteFactory,
    "spaces": SpaceFactory,
    "products": ProductFactory,
    "hardware-revisions": HardwareRevisionFactory,
    "batches": BatchFactory,
}
FULL: dict[str, dict[str, Any]] = {
    "projects": {"slug": "roof", "name": "Roof"},
    "sites": {
        "slug": "shanghai-01",
        "name": "Shanghai",
        "project": "p",
        "region": "East China",
        "country": "CN",
        "time_zone": "Asia/Shanghai",
        "latitude": 31.2,
        "longitude": 121.5,
    },
    "products": {
        "slug": "sensor-s1",
        "name": "Sensor",
        "kind": "gateway",
        "attributes_schema": {"type": "object", "properties": {"a": {"type": "null"}}},
        "config_schema": {"properties": {"interval": {"type": "integer"}}},
        "metrics": [{"name": "temperature", "unit": "°C", "dead_band": 0.5}],
        "reported_keys": ["modem.fw"],
        "heartbeat_seconds": 30,
        "takes_commands": False,
    },
    "spaces": {"slug": "hq", "name": "HQ", "site": "s", "kind": "building"},
    "hardware-revisions": {
        "slug": "rev-b",
        "name": "Rev B",
        "product": "pr",
        "notes": "A larger battery.",
    },
    "batches": {
        "slug": "2026-07",
        "name": "July",
        "hardware_revision": "r",
        "made_at": "2026-07-01T08:00:00Z",
        "notes": "Night shift.",
    },
}
# The required references of each kind; made for each test.
NEEDED: dict[str, dict[str, str]] = {
    "spaces": {"site": "s"},
    "hardware-revisions": {"product": "pr"},
    "batches": {"hardware_revision": "r"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def what_others_are_of(acme: Tenant) -> None:
    """A project, a site, a product and a revision that requests name."""
    ProjectFactory(tenant=acme, slug="p")
    SiteFactory(tenant=acme, slug="s")
    product = ProductFactory(tenant=acme, slug="pr")
    HardwareRevisionFactory(tenant=acme, slug="r", product=product)


def listed(client: APIClient, kind: str) -> list[str]:
    """Return the slugs that a client sees, without those of the fixture above."""
    rows = client.get(url_of(kind)).json()["results"]
    return [row["slug"] for row in rows if row["slug"] not in ("p", "s", "pr", "r")]


def url_of(kind: str, slug: str = "") -> str:
    return f"/api/v1/{kind}/{slug}/" if slug else f"/api/v1/{kind}/"


def fields_of(answer: Any) -> set[str]:
    assert answer["Content-Type"] == "application/problem+json"
    return {row["field"] for row in answer.json()["errors"]}


@every_kind
def test_an_object_is_created_shown_changed_and_deleted(
    kind: str, manager: APIClient, acme: Tenant
) -> None:
    given = FULL[kind]

    created = manager.post(url_of(kind), given, format="json")

    assert created.status_code == 201, created.json()
    assert {name: created.json()[name] for name in given} == given
    assert created.json()["tenant"] == "acme"
    url = url_of(kind, given["slug"])
    assert manager.get(url).json() == created.json()
    changed = manager.patch(url, {"name": "New"}, format="json")
    assert changed.json() == created.json() | {"name": "New"}
    assert created.json()["id"] in [
        row["id"] for row in manager.get(url_of(kind)).json()["results"]
    ]
    assert manager.delete(url).status_code == 204
    assert manager.get(url).status_code == 404


@every_kind
def test_a_slug_is_the_default_name_and_unique_in_a_tenant(
    kind: str, manager: APIClient, globex: Tenant
) -> None:
    KINDS[kind](tenant=globex, slug="one")
    given = {"slug": "one"} | NEEDED.get(kind, {})

    first = manager.post(url_of(kind), given, format="json")
    second = manager.post(url_of(kind), given, format="json")

    assert (first.status_code, second.status_code) == (201, 400)
    assert first.json()["name"] == "one"
    assert fields_of(second) == {"slug"}


@pytest.mark.parametrize(
    ("kind", "wrong", "field"),
    [
        ("projects", {}, "slug"),
        ("projects", {"slug": "Two Words"}, "slug"),
        ("projects", {"slug": "p", "tenant": "globex"}, "tenant"),
        ("projects", {"slug": "p", "nam": "P"}, "nam"),
        ("sites", {"slug": "s", "project": "nothing"}, "project"),
        ("sites", {"slug": "s", "country": "China"}, "country"),
        ("sites", {"slug": "s", "time_zone": "Shanghai"}, "time_zone"),
        ("sites", {"slug": "s", "latitude": 91}, "latitude"),
        ("sites", {"slug": "s", "longitude": "east"}, "longitude"),
        ("spaces", {"slug": "f"}, "site"),
        ("spaces", {"slug": "f", "site": "s", "parent": "nowhere"}, "parent"),
        ("spaces", {"slug": "f", "site": "s", "path": "f"}, "path"),
        ("hardware-revisions", {"slug": "b"}, "product"),
        ("batches", {"slug": "b", "hardware_revision": "x"}, "hardware_revision"),
        ("batches", {"slug": "b", "hardware_revision": "r", "made_at": 1}, "made_at"),
        ("products", {"slug": "p", "kind": "x"}, "kind"),
        ("products", {"slug": "p", "heartbeat_seconds": 0}, "heartbeat_seconds"),
        ("products", {"slug": "p", "metrics": [{"name": "1 x"}]}, "metrics"),
        ("products", {"slug": "p", "metrics": [{"unit": "V"}]}, "metrics.0.name"),
        (
            "products",
            {"slug": "p", "metrics": [{"name": "v"}, {"name": "v"}]},
            "metrics",
        ),
        ("products", {"slug": "p", "reported_keys": ["a..b"]}, "reported_keys"),
        (
            "products",
            {"slug": "p", "attributes_schema": {"type": "colour"}},
            "attributes_schema",
        ),
        ("products", {"slug": "p", "config_schema": {"type": 7}}, "config_schema"),
        ("products", {"slug": "p", "config_schema": []}, "config_schema"),
        (
            "products",
            {"slug": "p", "attributes_schema": {"$ref": "http://127.0.0.1/x"}},
            "attributes_schema",
        ),
    ],
)
def test_bad_input_names_the_field_and_creates_nothing(
    manager: APIClient, globex: Tenant, kind: str, wrong: dict[str, Any], field: str
) -> None:
    answer = manager.post(url_of(kind), wrong, format="json")

    assert answer.status_code == 400, answer.json()
    assert field in fields_of(answer)
    assert listed(manager, kind) == []


@every_kind
def test_another_tenants_object_does_not_exist(
    kind: str, stranger: APIClient, acme: Tenant
) -> None:
    row = KINDS[kind](tenant=acme, slug="ours")
    url = url_of(kind, "ours")

    answers = [
        stranger.get(url),
        stranger.patch(url, {"name": "theirs"}, format="json"),
        stranger.delete(url),
        stranger.get(f"{url}?tenant=acme"),
        stranger.get(f"{url_of(kind)}?tenant=acme"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert stranger.get(url_of(kind)).json()["results"] == []
    row.refresh_from_db()
    assert row.name != "theirs"


@every_kind
def test_a_viewer_sees_and_changes_nothing(
    kind: str, viewer: APIClient, acme: Tenant
) -> None:
    KINDS[kind](tenant=acme, slug="ours")
    url = url_of(kind, "ours")

    assert viewer.get(url).status_code == 200
    refused = [
        viewer.post(url_of(kind), FULL[kind], format="json"),
        viewer.patch(url, {"name": "new"}, format="json"),
        viewer.delete(url),
    ]

    assert [answer.status_code for answer in refused] == [403] * 3
    assert listed(viewer, kind) == ["ours"]


def of_revision(revision: HardwareRevision) -> dict[str, Any]:
    return {"hardware_revision": revision, "product": revision.product}


@every_kind
def test_an_object_in_use_is_not_deleted(
    kind: str, manager: APIClient, acme: Tenant
) -> None:
    row = KINDS[kind](tenant=acme)
    relations = {
        "spaces": lambda: {"space": row, "site": row.site},
        "hardware-revisions": lambda: of_revision(row),
        "batches": lambda: {"batch": row} | of_revision(row.hardware_revision),
    }
    given = relations.get(kind, lambda: {kind.removesuffix("s"): row})()
    DeviceFactory(tenant=acme, **given)

    answer = manager.delete(url_of(kind, row.slug))

    assert answer.status_code == 409
    assert "devices" in answer.json()["detail"]
    assert manager.get(url_of(kind, row.slug)).status_code == 200


def test_the_tenant_of_an_object_is_fixed(
    manager: APIClient, acme: Tenant, globex: Tenant
) -> None:
    answer = manager.patch(url_of("projects", "p"), {"tenant": "globex"}, format="json")

    assert answer.status_code == 400
    assert fields_of(answer) == {"tenant"}
    assert Project.objects.get(slug="p").tenant == acme


def test_a_superuser_makes_changes_and_deletes_tenants(superuser: APIClient) -> None:
    made = superuser.post("/api/v1/tenants/", {"slug": "initech"}, format="json")
    url = "/api/v1/tenants/initech/"

    assert made.status_code == 201
    assert superuser.patch(url, {"name": "I"}, format="json").json()["name"] == "I"
    again = superuser.post("/api/v1/tenants/", {"slug": "initech"}, format="json")
    assert fields_of(again) == {"slug"}
    site = SiteFactory(tenant=Tenant.objects.get(slug="initech"))
    assert superuser.delete(url).status_code == 409
    Site.objects.filter(pk=site.pk).delete()
    assert superuser.delete(url).status_code == 204


def test_a_member_sees_their_tenant_and_makes_none(
    manager: APIClient, acme: Tenant, globex: Tenant
) -> None:
    listed = manager.get("/api/v1/tenants/").json()["results"]

    assert [row["slug"] for row in listed] == ["acme"]
    assert manager.get("/api/v1/tenants/acme/").status_code == 200
    assert manager.get("/api/v1/tenants/globex/").status_code == 404
    assert manager.delete("/api/v1/tenants/globex/").status_code == 404
    made = manager.post("/api/v1/tenants/", {"slug": "mine"}, format="json")
    assert made.status_code == 403
    assert manager.delete("/api/v1/tenants/acme/").status_code == 403
    assert not Tenant.objects.filter(slug="mine").exists()


@pytest.mark.parametrize(
    "path", ["tenants/", "projects/", "sites/", "products/", "devices/", "platform/"]
)
def test_an_anonymous_caller_is_refused(db: None, path: str) -> None:
    answer = APIClient().get(f"/api/v1/{path}")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Token"
    assert answer["Content-Type"] == "application/problem+json"


def test_a_person_without_tenant_sees_nothing(act_as: Any) -> None:
    TenantFactory()
    client = act_as("viewer", of=TenantFactory(slug="empty"))

    assert client.get("/api/v1/devices/").json()["results"] == []
