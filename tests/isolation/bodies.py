"""Valid bodies of requests, so that they are not refused before the access check."""

from __future__ import annotations

from typing import Any

from tests.isolation.routes import path_to
from tests.isolation.rows import Rows

SLUGGED = {"name": "Ours now"}
REASON = {"reason": "because"}
# By route: a body that would change an object of the caller's own tenant.
BODIES: dict[str, Any] = {
    "api/v1/devices/<uid>/": SLUGGED,
    "api/v1/devices/<uid>/credentials/": {"kind": "password"},
    "api/v1/devices/<uid>/lifecycle/": {"to": "retired", **REASON},
    "api/v1/devices/<uid>/transfer/": {"tenant": "ours", **REASON},
    "api/v1/devices/<uid>/desired/": {"desired": {"interval": 10}},
    "api/v1/devices/<uid>/feedback/": {"finding": "power", "note": "a cable"},
    "api/v1/firmware-releases/<release_id>/": {"notes": "ours"},
    "api/v1/memberships/<membership_id>/": {"role": "viewer"},
    "api/v1/maintenance-windows/<window_id>/": REASON,
    "api/v1/alarm-rules/<rule_id>/": SLUGGED,
    "api/v1/command-definitions/<name>/": {"description": "Ours now"},
    "api/v1/jobs/<job_id>/retry/": {"failure_class": "no_ack"},
    "api/v1/jobs/<job_id>/lift/": REASON,
    "api/v1/cohorts/<cohort_id>/": SLUGGED,
    "api/v1/playbooks/<playbook_id>/": SLUGGED,
    "api/v1/webhooks/<webhook_id>/": SLUGGED,
    "api/v1/notification-rules/<notification_rule_id>/": SLUGGED,
    "api/v1/playbooks/<playbook_id>/runs/": {"query": "*"},
    "api/v1/playbook-runs/<run_id>/steps/<number>/": {"answer": "Yes"},
    "playbooks/<playbook_id>/run/": {"query": "*", "rate_per_minute": 1},
    "api/v1/standing-policies/<policy_id>/": {"name": "Ours now", "enabled": False},
    "api/v1/incidents/<incident_id>/assign/": {"assignee": "nobody"},
    "api/v1/incidents/<incident_id>/snooze/": {"until": "2100-01-01T00:00:00Z"},
    "api/v1/incidents/<incident_id>/note/": {"text": "ours"},
    "api/v1/incidents/<incident_id>/resolve/": {"cause": "power", "text": "ours"},
    "api/v1/incidents/<incident_id>/merge/": {"into": "x"},
    "api/v1/sla-policies/<sla_policy_id>/": {"resolve_minutes": 5},
    "cohorts/<cohort_id>/change/": {"name": "Ours now", "q": "*"},
    "devices/<uid>/lifecycle/": {"to": "retired", **REASON},
    "devices/<uid>/commands/": {"name": "reboot"},
    "devices/<uid>/feedback/": {"finding": "power", "note": "a cable"},
    "members/<membership_id>/change/": {"role": "viewer"},
    **{
        f"device/v1/{tree}{kind}/": body
        for tree in ("", "child/<child>/")
        for kind, body in {
            "status": {"status": "online"},
            "heartbeat": {"boot": 1, "seq": 1},
            "telemetry": {"metrics": {"temperature": 21.5}},
            "reported": {"version": 1, "reported": {"firmware": "9.9.9"}},
            "event": {"code": "hot", "severity": "warning", "state": "raised"},
            "commands/<command_id>/ack": {"status": "received"},
            "commands/<command_id>/progress": {"percent": 50},
            "commands/<command_id>/result": {"status": "succeeded"},
        }.items()
    },
}


def body_for(route: str) -> Any:
    """Return a body that the route accepts; objects with a slug get a new name."""
    if route in BODIES:
        return BODIES[route]
    return SLUGGED if route.endswith("<slug>/") else {}


def about_others(route: str, theirs: Rows) -> list[dict[str, Any]]:
    """Return bodies that make an own object with references to another tenant's."""

    def name_of(collection: str) -> str:
        key = "<uid>" if collection == "devices" else "<slug>"
        return path_to(f"api/v1/{collection}/{key}/", theirs).split("/")[-2]

    site, product, device = (
        name_of(collection) for collection in ("sites", "products", "devices")
    )
    bodies: dict[str, list[dict[str, Any]]] = {
        "api/v1/devices/": [
            {"uid": "new-1", "site": site, "product": product},
            {
                "uid": "new-2",
                "site": site,
                "product": product,
                "tenant": name_of("tenants"),
            },
        ],
        "api/v1/projects/": [{"slug": "new-1", "tenant": name_of("tenants")}],
        "api/v1/sites/": [{"slug": "new-1", "project": name_of("projects")}],
        "api/v1/spaces/": [
            {"slug": "new-1", "site": site, "kind": "floor"},
            {
                "slug": "new-2",
                "site": site,
                "kind": "floor",
                "parent": name_of("spaces"),
            },
        ],
        "api/v1/hardware-revisions/": [{"slug": "new-1", "product": product}],
        "api/v1/batches/": [
            {"slug": "new-1", "hardware_revision": name_of("hardware-revisions")}
        ],
        "api/v1/commands/": [{"device": device, "name": "reboot", "params": {}}],
        "api/v1/command-definitions/": [
            {"name": "new_1", "class": "operation", "product": product},
            {"name": "new_2", "class": "operation", "tenant": name_of("tenants")},
        ],
        "api/v1/jobs/": [
            {
                "name": "Theirs",
                "devices": [device],
                "command": {"name": "reboot", "params": {}},
                "rollout": {},
            }
        ],
        "api/v1/enrolment-keys/": [
            {
                "name": "x",
                "product": product,
                "max_devices": 1,
                "expires_at": "2099-01-01T00:00:00Z",
            }
        ],
        "api/v1/webhooks/": [
            {
                "name": "x",
                "url": "https://93.184.215.14/",
                "tenant": name_of("tenants"),
            }
        ],
        "api/v1/notification-rules/": [
            {
                "name": "x",
                "targets": [{"kind": "mail", "address": "x@example.com"}],
                "tenant": name_of("tenants"),
            },
            {
                "name": "x",
                "sites": [name_of("sites")],
                "targets": [{"kind": "mail", "address": "x@example.com"}],
            },
        ],
        "api/v1/playbooks/": [
            {
                "name": "x",
                "steps": [{"kind": "note", "text": "x"}],
                "tenant": name_of("tenants"),
            }
        ],
        "api/v1/standing-policies/": [
            {
                "name": "x",
                "cohort": path_to("api/v1/cohorts/<cohort_id>/", theirs).split("/")[-2],
                "desired": {"led": "on"},
            },
        ],
        "api/v1/fleet/edit/": [
            {
                "query": "*",
                "set": {"tags": {"add": ["ours"]}},
                "reason": "x",
                "tenant": name_of("tenants"),
            },
            {"query": "*", "set": {"site": site}, "reason": "x"},
        ],
        "api/v1/cohorts/": [{"name": "x", "query": "*", "tenant": name_of("tenants")}],
    }
    return bodies.get(route, [])
