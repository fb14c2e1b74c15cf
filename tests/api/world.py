"""A tenant with something of every kind, made through the REST API itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from rest_framework.test import APIClient

from registry.lifecycle import Role, Scope
from registry.models import Device, Tenant
from registry.services.tokens import create_token
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.commands.field import Unit, now
from tests.factories import MembershipFactory, TenantFactory, UserFactory

API = "/api/v1/"
LATER = "2031-01-01T00:00:00Z"
METRICS = [{"name": "temperature", "unit": "°C", "dead_band": 0.5}]

# What is made, in this order: the collection, and what is posted to it.
OBJECTS: list[tuple[str, dict[str, Any]]] = [
    ("projects", {"slug": "north"}),
    ("sites", {"slug": "shanghai-01", "project": "north", "region": "East China"}),
    ("products", {"slug": "sensor-s1", "metrics": METRICS}),
    ("products", {"slug": "hub-h1", "kind": "gateway"}),
    ("spaces", {"slug": "hq", "site": "shanghai-01", "kind": "building"}),
    ("spaces", {"slug": "floor-2", "site": "shanghai-01", "parent": "hq"}),
    ("hardware-revisions", {"slug": "rev-b", "product": "sensor-s1"}),
    ("batches", {"slug": "2026-07", "hardware_revision": "rev-b"}),
    ("firmware-releases", {"version": "1.5.0", "products": ["sensor-s1"]}),
    (
        "enrolment-keys",
        {
            "product": "sensor-s1",
            "site": "shanghai-01",
            "max_devices": 5,
            "expires_at": "2100-01-01T00:00:00Z",
        },
    ),
    ("devices", {"uid": "hub-1", "site": "shanghai-01", "product": "hub-h1"}),
    ("devices", {"uid": "dev-1", "site": "shanghai-01", "product": "sensor-s1"}),
    ("devices/dev-1/lifecycle", {"to": "active", "reason": "in service"}),
    ("devices/dev-1/credentials", {}),
    ("devices/hub-1/credentials", {}),
    ("commands", {"device": "dev-1", "name": "reboot", "params": {}}),
    ("cohorts", {"name": "All of them", "query": "*"}),
    (
        "alarm-rules",
        {
            "name": "Too hot",
            "product": "sensor-s1",
            "metric": "temperature",
            "comparison": ">",
            "threshold": 60,
            "code": "too-hot",
        },
    ),
    (
        "maintenance-windows",
        {
            "site": "shanghai-01",
            "from_at": "2030-01-01T00:00:00Z",
            "until": LATER,
            "reason": "Rewiring",
        },
    ),
    (
        "enrolment-keys",
        {
            "product": "sensor-s1",
            "site": "shanghai-01",
            "max_devices": 9,
            "expires_at": LATER,
        },
    ),
    (
        "jobs",
        {
            "name": "Night reboot",
            "devices": ["dev-1"],
            "command": {"name": "reboot", "params": {}},
            "rollout": {},
        },
    ),
]
# What nothing refers to, so that it can be deleted.
OBJECTS += [
    ("projects", {"slug": "spare"}),
    ("sites", {"slug": "spare", "region": "East China"}),
    ("products", {"slug": "spare"}),
    ("hardware-revisions", {"slug": "spare", "product": "sensor-s1"}),
]
# Fields that are files.
UPLOADS = {"firmware-releases": ["file"]}
# What is not listed anywhere under the path that shows one: found in another's answer.
MADE_FROM = {"snapshots": ("cohorts", "snapshot")}


@dataclass
class World:
    """The tenant, a key for each kind of caller, and the names of what there is."""

    tenant: Tenant
    keys: dict[str, str]
    # By collection, as in "devices/dev-1/credentials": the objects as they are shown.
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def client(self, caller: str = Role.ADMIN) -> APIClient:
        """Return a client that acts as this caller."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {self.keys[caller]}")
        return client

    def list(self, collection: str) -> list[dict[str, Any]]:
        """Return the objects of a collection, as an administrator sees them."""
        if collection not in self.objects:
            answer = self.client().get(f"{API}{collection}/")
            found = answer.json() if answer.status_code == 200 else {}
            results = found.get("results", []) if isinstance(found, dict) else found
            self.objects[collection] = results
        return self.objects[collection]


def build_world(drain: Callable[[], object]) -> World:
    """Make the tenant, its people, and one object of each kind at least.

    ``drain`` brings the fleet index up to date.
    """
    tenant = TenantFactory(slug="acme")
    keys = {role: _key(tenant, role) for role in Role.values}
    keys["superuser"] = create_token(
        user=UserFactory(is_superuser=True), name="all", scopes=Scope.values
    )[1]
    world = World(tenant, keys)
    for collection, body in OBJECTS:
        _post(world, collection, body)
    _let_devices_speak()
    drain()
    for collection, (parent, action) in MADE_FROM.items():
        first = world.list(parent)[0]["id"]
        world.objects[collection] = [_post(world, f"{parent}/{first}/{action}", {})]
    return world


def _key(tenant: Tenant, role: str, *scopes: str) -> str:
    user = MembershipFactory(tenant=tenant, role=role).user
    return create_token(user=user, name=role, scopes=scopes or Scope.values)[1]


def _post(world: World, collection: str, body: dict[str, Any]) -> Any:
    headers = {"Idempotency-Key": f"{collection} of the world"}
    files = {name: BytesIO(b"x") for name in UPLOADS.get(collection, ())}
    form = "multipart" if files else "json"
    answer = world.client().post(
        f"{API}{collection}/", body | files, format=form, headers=headers
    )
    assert answer.status_code in (200, 201), (collection, answer.content)
    return answer.json()


def _let_devices_speak() -> None:
    """One device is online, reports, measures, complains, and babbles once."""
    unit = Unit(Device.objects.get(uid="dev-1"))
    unit.come_online()
    unit.report(1, {"firmware": "1.4.2", "interval": 10})
    unit.say("telemetry", {"metrics": {"temperature": 21.5, "battery": 80}})
    unit.say("event", {"code": "hot", "severity": "warning", "state": "raised"})
    letter = DeadLetterDraft(
        topic="iot/v1/dev-1/event",
        adapter="mqtt",
        reason="malformed",
        detail="It is no JSON.",
        tenant_id=unit.device.tenant_id,
        payload=b"{",
        uid="dev-1",
    )
    record_dead_letters([letter], now=now())
