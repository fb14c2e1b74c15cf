"""A tenant with an object of every kind, created through the REST API itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone
from rest_framework.test import APIClient

from commands.services.device_files import Part, store_part
from console.services.incidents.sweep import sweep_incidents_across_tenants
from console.services.playbooks.advance import advance_runs_across_tenants
from fleet.services.cohort_watch import watch_cohorts_across_tenants
from iotplatform.common.signed_links import FIRMWARE, UPLOAD, make_link
from registry.choices import Role, TokenScope
from registry.models import Device, Tenant
from registry.services.tokens import create_token
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.commands.units import Unit, now
from tests.factories import MembershipFactory, TenantFactory, UserFactory

API = "/api/v1/"
# Years to come, whenever this runs.
YEAR = datetime.now(UTC).year + 4
SOON, LATER = f"{YEAR}-01-01T00:00:00Z", f"{YEAR + 1}-01-01T00:00:00Z"
METRICS = [{"name": "temperature", "unit": "°C", "dead_band": 0.5}]

HTTP = {"adapter": "http"}

# The objects to create, in this order: the collection, and the body of its POST.
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
    # HTTP devices: a single one, and a gateway with its child.
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
    ("command-definitions", {"name": "calibrate", "class": "operation"}),
    ("cohorts", {"name": "All of them", "query": "*"}),
    ("webhooks", {"name": "Receiver", "url": "https://93.184.215.14/hook"}),
    (
        "notification-rules",
        {
            "name": "On call",
            "targets": [{"kind": "mail", "address": "us@example.com"}],
        },
    ),
    (
        "playbooks",
        {
            "name": "Ask",
            "steps": [{"kind": "ask", "question": "Well?", "answers": ["Yes", "No"]}],
        },
    ),
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
            "from_at": SOON,
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
        "sla-policies",
        {"severity": "warning", "acknowledge_minutes": 15, "resolve_minutes": 240},
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
# Nothing refers to these, so that they can be deleted.
OBJECTS += [
    ("projects", {"slug": "spare"}),
    ("sites", {"slug": "spare", "region": "East China"}),
    ("products", {"slug": "spare"}),
    ("hardware-revisions", {"slug": "spare", "product": "sensor-s1"}),
]
IDENTIFY = {"device": "dev-2", "name": "identify", "params": {"seconds": 3}}
# Devices with a known secret: one uses MQTT, two use HTTP.
WITH_SECRETS = ("dev-1", "dev-2", "hub-2")
DEVICE_API = "/device/v1/"
# Fields that are files.
UPLOADS = {"firmware-releases": ["file"]}
# Objects that come from an action on another one.
MADE_FROM = {"snapshots": ("cohorts", "snapshot")}


@dataclass
class World:
    """The tenant, a key for each kind of caller, and the objects."""

    tenant: Tenant
    keys: dict[str, str]
    # By the uid of their device.
    secrets: dict[str, str]
    # The objects as the API shows them, by collection ("devices/dev-1/credentials").
    objects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def client(self, caller: str = Role.ADMIN) -> APIClient:
        """Return a client that acts as this caller."""
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Token {self.keys[caller]}")
        return client

    def post(self, collection: str, body: dict[str, Any]) -> Any:
        """Create an object as an administrator; return it as the API shows it."""
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

    def sent_command_of(self, uid: str) -> str:
        """Return the id of a command that was sent to this device."""
        rows = self.list("commands")
        sent = (row for row in rows if row["device"] == uid and row["sent_at"])
        return str(next(sent)["id"])

    def link_token_of(self, path: str) -> str:
        """Return the signed part of a link for one of the objects."""
        kind = UPLOAD if f"/{UPLOAD}/" in path else FIRMWARE
        named = self.sent_command_of("dev-2")
        if kind == FIRMWARE:
            named = str(self.list("firmware-releases")[0]["id"])
        until = timezone.now() + timedelta(days=1)
        return make_link(kind, UUID(named), expires_at=until).split("/")[-2]

    def callers(self, path: str) -> dict[str, str]:
        """Return the possible callers of a path, and the header that each sends."""
        if path.startswith(DEVICE_API):
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
    """Create the tenant, its people, and at least one object of each kind.

    ``drain`` updates the fleet index.
    """
    tenant = TenantFactory(slug="acme")
    keys = {role: _key(tenant, role) for role in Role.values}
    keys["superuser"] = create_token(
        user=UserFactory(is_superuser=True), name="all", scopes=TokenScope.values
    )[1]
    world = World(tenant, keys, {})
    for collection, body in OBJECTS:
        world.post(collection, body)
    for uid in WITH_SECRETS:
        made = world.post(f"devices/{uid}/credentials", {})
        world.secrets[uid] = made["secret"]
    _send_device_messages(world)
    for row in world.list("commands"):
        file = store_part(UUID(row["id"]), Part(0, b"log", 3), now=timezone.now())
        world.objects[f"commands/{row['id']}/files"] = [{"id": str(file.public_id)}]
    drain()
    _let_a_cohort_call(world, drain)
    _start_a_run(world)
    _allow_a_host(world)
    tags = {"tags": {"add": ["seen"]}}
    world.post("fleet/edit", {"query": "*", "set": tags, "reason": "A walk"})
    # A cohort with a policy cannot be deleted, so it has one of its own.
    lit = world.post("cohorts", {"name": "Lit", "query": "product:sensor-s1"})
    policy = {"name": "Lights on", "cohort": lit["id"]}
    world.post("standing-policies", policy | {"desired": {"led": "on"}})
    # The alarm of dev-1 has lasted by then.
    assert sweep_incidents_across_tenants(now=timezone.now() + timedelta(minutes=2))
    for collection, (parent, action) in MADE_FROM.items():
        first = world.list(parent)[0]["id"]
        world.objects[collection] = [world.post(f"{parent}/{first}/{action}", {})]
    return world


def _let_a_cohort_call(world: World, drain: Callable[[], object]) -> None:
    """Let a device enter a cohort that calls for each."""
    world.post("cohorts", {"name": "Loud", "query": "tag:loud", "calls_each": True})
    world.client().patch(f"{API}devices/dev-1/", {"tags": ["loud"]}, format="json")
    drain()
    assert watch_cohorts_across_tenants() == 1


def _allow_a_host(world: World) -> None:
    """Let a superuser allow a receiver inside, and a message wait for delivery."""
    host = {"host": "hooks.inside.example:8443"}
    answer = world.client("superuser").post(f"{API}webhook-hosts/", host, format="json")
    assert answer.status_code == 201, answer.content
    world.objects["webhook-hosts"] = [answer.json()]
    webhook = world.list("webhooks")[0]["id"]
    assert world.client().post(f"{API}webhooks/{webhook}/test/").status_code == 202


def _start_a_run(world: World) -> None:
    """Let a device come to the question of a playbook."""
    (own,) = (row for row in world.list("playbooks") if not row["built_in"])
    run = world.post(f"playbooks/{own['id']}/runs", {"device": "dev-1"})
    assert advance_runs_across_tenants(now=timezone.now()) == 1
    world.objects[f"playbook-runs/{run['id']}/steps"] = [{"id": "1"}]


def _key(tenant: Tenant, role: str, *scopes: str) -> str:
    user = MembershipFactory(tenant=tenant, role=role).user
    return create_token(user=user, name=role, scopes=scopes or TokenScope.values)[1]


def _send_device_messages(world: World) -> None:
    """Let the HTTP devices poll their commands, and queue another one for dev-2.

    The MQTT device is online, reports, measures, raises an alarm, and sends one invalid
    message.
    """
    heartbeat = f"{DEVICE_API}child/kid-1/heartbeat/"
    assert world.device("hub-2").post(heartbeat, {}, format="json").status_code == 200
    for uid in ("dev-2", "hub-2"):
        assert world.device(uid).get(f"{DEVICE_API}commands/").json()["commands"]
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
