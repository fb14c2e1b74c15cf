"""Objects that can be changed have a version; a change of an older one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from tests.api.world import API, LATER, YEAR, World
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

NAMED = {"name": "Another name"}
# For each collection: what is posted to it, and a change of it.
VERSIONED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "tenants": ({"slug": "globex"}, NAMED),
    "projects": ({"slug": "south"}, NAMED),
    "sites": ({"slug": "depot", "latitude": 1}, NAMED),
    "spaces": ({"slug": "yard", "site": "shanghai-01"}, NAMED),
    "products": ({"slug": "meter"}, NAMED),
    "hardware-revisions": ({"slug": "rev-z", "product": "sensor-s1"}, NAMED),
    "batches": (
        {
            "slug": "z",
            "hardware_revision": "rev-b",
            "made_at": "2026-01-01T01:00+08:00",
        },
        NAMED,
    ),
    "firmware-releases": (
        {"version": "9.9", "products": ["sensor-s1"]},
        {"notes": "Mends the clock."},
    ),
    "memberships": ({"user": "newcomer", "role": "viewer"}, {"role": "operator"}),
    "cohorts": ({"name": "Hot", "query": "temperature>30"}, NAMED),
    "webhooks": ({"name": "Ours", "url": "https://93.184.215.14/"}, NAMED),
    "notification-rules": (
        {"name": "Us", "targets": [{"kind": "mail", "address": "us@example.com"}]},
        NAMED,
    ),
    "playbooks": ({"name": "Look", "steps": [{"kind": "note", "text": "x"}]}, NAMED),
    "sla-policies": (
        {"severity": "critical", "acknowledge_minutes": 5, "resolve_minutes": 60},
        {"resolve_minutes": 30},
    ),
    "alarm-rules": (
        {
            "product": "sensor-s1",
            "name": "Hot",
            "metric": "temperature",
            "comparison": ">",
            "threshold": 30,
            "code": "hotter",
        },
        {"enabled": True},
    ),
    "maintenance-windows": (
        {
            "device": "dev-1",
            "from_at": f"{YEAR}-01-01T00:00+08:00",
            "until": LATER,
            "reason": "Rewiring",
        },
        {"reason": "Rewiring, at last"},
    ),
    "enrolment-keys": (
        {
            "product": "sensor-s1",
            "site": "shanghai-01",
            "max_devices": 3,
            "expires_at": LATER,
        },
        {"max_devices": 5},
    ),
    "command-definitions": (
        {"name": "flush", "class": "operation"},
        {"description": "Flush the pipe."},
    ),
    "devices": (
        {"uid": "dev-9", "site": "shanghai-01", "product": "sensor-s1"},
        NAMED,
    ),
}
# These have no ETag: they are only revoked, or have a version of their own.
WITHOUT = {
    "/api/v1/webhook-hosts/{host_id}/",  # only deleted
    "/api/v1/devices/{uid}/credentials/{credential_id}/",
    "/api/v1/devices/{uid}/desired/",  # the version is the document's own
    "/api/v1/tokens/{token_id}/",
}


@pytest.fixture
def caller(world: World) -> Iterator[APIClient]:
    """A client that may change everything; its changes are undone."""
    with transaction.atomic():
        UserFactory(username="newcomer")
        yield world.client("superuser")
        transaction.set_rollback(True)


def make(caller: APIClient, collection: str, body: dict[str, Any]) -> tuple[str, str]:
    """Create an object; return its URL and its ETag."""
    form = "json"
    if collection == "firmware-releases":
        body, form = body | {"file": SimpleUploadedFile("f.bin", b"x")}, "multipart"
    if collection != "tenants":
        body = body | {"tenant": "acme"}
    answer = caller.post(f"{API}{collection}/", body, format=form)
    assert answer.status_code == 201, answer.content
    shown = answer.json()
    keys = ("uid", "slug", "id", "name")
    name = next(shown[key] for key in keys if key in shown)
    return f"{API}{collection}/{name}/", answer["ETag"]


@pytest.mark.parametrize("collection", VERSIONED)
def test_a_change_needs_the_version_that_its_author_saw(
    collection: str, caller: APIClient
) -> None:
    body, change = VERSIONED[collection]
    url, made = make(caller, collection, body)
    assert caller.get(url)["ETag"] == made

    changed = caller.patch(url, change, format="json", headers={"If-Match": made})
    again = caller.patch(url, change, format="json", headers={"If-Match": made})

    assert changed.status_code == 200, changed.content
    assert changed["ETag"] == caller.get(url)["ETag"] != made
    assert again.status_code == 412
    assert again["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "collection", [name for name in VERSIONED if name != "devices"]
)
def test_a_deletion_needs_the_version_that_was_seen(
    collection: str, caller: APIClient
) -> None:
    url, made = make(caller, collection, VERSIONED[collection][0])

    outdated = caller.delete(url, headers={"If-Match": '"older"'})
    there = caller.get(url).status_code
    current = caller.delete(url, headers={"If-Match": made})

    assert (outdated.status_code, there, current.status_code) == (412, 200, 204)


def test_the_document_names_both_headers_for_every_change() -> None:
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]

    def takes_if_match(operation: Any) -> bool:
        return any(p["name"] == "If-Match" for p in operation.get("parameters", []))

    for path, operations in document["paths"].items():
        changing = [operations[m] for m in ("patch", "delete") if m in operations]
        if not changing or path in WITHOUT:
            continue
        assert all(takes_if_match(operation) for operation in changing), path
        assert "ETag" in operations["get"]["responses"]["200"]["headers"], path
