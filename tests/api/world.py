"""A tenant with something of every kind, made through the REST API itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from uuid import uuid4

from rest_framework.test import APIClient

from registry.choices import Role, Scope
from registry.models import Device, Tenant
from registry.services.tokens import create_token
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.commands.field import Unit, now
from tests.factories import MembershipFactory, TenantFactory, UserFactory

API = "/api/v1/"
LATER = "2031-01-01T00:00:00Z"
METRICS = [{"name": "temperature", "unit": "°C", "dead_band": 0.5}]

HTTP = {"adapter": "http"}

# What is made, in this order: the collection, and what is posted to it.
OBJECTS: list[tuple[str, dict[str, Any]]] = [
    ("projects", {"slug": "north"}),
    ("sites", {"slug": "shanghai-01", "project": "north", "region": "East China"}),
    ("products", {"slug": "sensor-s1", "metrics": METRICS}),
    ("products", {"slug": "hub-h1", "kind": "gateway"}),
    ("products", {"slug": "child-c1", "kind": "child"}),
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
    # Those that speak HTTP: one by itself, one for another.
    (
        "devices",
        {"uid": "dev-2", "site": "shanghai-01", "product": "sensor-s1"} | HTTP,
    ),
    ("devices", {"uid": "hub-2", "site": "shanghai-01", "product": "hub-h1"} | HTTP),
    (
        "devices",
        {
            "uid": "kid-1",
            "site": "shanghai-01",
            "product": "child-c1",
            "gateway": "hub-2",
        }
        | HTTP,
    ),
    ("devices/dev-1/lifecycle", {"to": "active", "reason": "in service"}),
    ("devices/dev-1/credentials", {}),
    ("devices/hub-1/credentials", {}),
    ("devices/kid-1/credentials", {}),
    ("commands", {"device": "dev-1", "name": "reboot", "params": {}}),
    ("commands", {"device": "dev-2", "name": "reboot", "params": {}}),
    ("commands", {"device": "kid-1", "name": "reboot", "params": {}}),
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
IDENTIFY = {"device": "dev-2", "name": "identify", "params": {"seconds": 3}}
# Whose secrets are known: one that speaks MQTT, and two that speak HTTP.
WITH_SECRETS = ("dev-1", "dev-2", "hub-2")
DEVICE_DOORS = "/device/v1/"
# Fields that are files.
UPLOADS = {"firmware-releases": ["file"]}
# What is not listed anywhere under the path that shows one: found in another's answer.
MADE_FROM = {"snapshots": ("cohorts", "snapshot")}


@dataclass
class World:
    """The tenant, a key for each kind of caller, and the names of what there is."""

    tenant: Tenant
    keys: dict[str, str]
    # By the uid of their device.
    secrets: dict[str, str]
    # By collection, as in "devices/dev-1/credentials": the objects as they are shown.
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def client(self, caller: str = Role.ADMIN) -> APIClient:
        """Return a client that acts as this caller."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {self.keys[caller]}")
        return client

    def post(self, collection: str, body: dict[str, Any]) -> Any:
        """Make an object as an administrator; return it as it is shown."""
        headers = {"Idempotency-Key": str(uuid4())}
        files = {name: BytesIO(b"x") for name in UPLOADS.get(collection, ())}
        form = "multipart" if files else "json"
        answer = self.client().post(
            f"{API}{collection}/", body | files, format=form, headers=headers
        )
        assert answer.status_code in (200, 201), (collection, answer.content)
        return answer.json()

    def device(self, uid: str) -> APIClient:
        """Return a client that acts as this device."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Device {uid}:{self.secrets[uid]}")
        return client

    def handed_to(self, uid: str) -> str:
        """Return the id of a command that this device has been handed."""
        rows = self.list("commands")
        handed = (row for row in rows if row["device"] == uid and row["sent_at"])
        return str(next(handed)["id"])

    def callers(self, path: str) -> dict[str, str]:
        """Return who may be let in at a path, and the header that each sends."""
        if path.startswith(DEVICE_DOORS):
            return {u: f"Device {u}:{secret}" for u, secret in self.secrets.items()}
        return {role: f"Token {key}" for role, key in self.keys.items()}

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
    world = World(tenant, keys, {})
    for collection, body in OBJECTS:
        world.post(collection, body)
    for uid in WITH_SECRETS:
        made = world.post(f"devices/{uid}/credentials", {})
        world.secrets[uid] = made["secret"]
    _let_devices_speak(world)
    drain()
    for collection, (parent, action) in MADE_FROM.items():
        first = world.list(parent)[0]["id"]
        world.objects[collection] = [world.post(f"{parent}/{first}/{action}", {})]
    return world


def _key(tenant: Tenant, role: str, *scopes: str) -> str:
    user = MembershipFactory(tenant=tenant, role=role).user
    return create_token(user=user, name=role, scopes=scopes or Scope.values)[1]


def _let_devices_speak(world: World) -> None:
    """Those of HTTP ask for their commands, and of one another is asked meanwhile.

    One of MQTT is online, reports, measures, complains, and babbles once.
    """
    heard = f"{DEVICE_DOORS}child/kid-1/heartbeat/"
    assert world.device("hub-2").post(heard, {}, format="json").status_code == 200
    for uid in ("dev-2", "hub-2"):
        assert world.device(uid).get(f"{DEVICE_DOORS}commands/").json()["commands"]
    world.post("commands", IDENTIFY)
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
