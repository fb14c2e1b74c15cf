"""Playbooks for tests: made and run through the real services."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from rest_framework.test import APIClient

from console.models import Playbook, PlaybookRun
from console.selectors.playbooks import list_run_devices, steps_of
from console.services.playbooks.advance import advance_runs_across_tenants
from console.services.playbooks.edit import create_playbook
from console.services.playbooks.runs import RunRequest, start_run
from registry.choices import Role
from registry.models import Device, Tenant
from tests.commands.units import now
from tests.factories import UserFactory

if TYPE_CHECKING:
    from tests.console.conftest import Fleet

RUNS = "/api/v1/playbook-runs/"
NOTE = {"kind": "note", "text": "look"}
ASK = {"kind": "ask", "question": "Is it dead?", "answers": ["Yes", "No"]}
REBOOT = {"kind": "send", "command": {"name": "reboot", "params": {}}}


def client_of(fleet: Fleet, role: Role = Role.OPERATOR) -> APIClient:
    client = APIClient()
    client.force_authenticate(fleet.person(role))
    return client


def make_playbook(tenant: Tenant, *steps: dict[str, Any], name: str = "P") -> Playbook:
    return create_playbook(tenant=tenant, actor=None, name=name, steps=list(steps))


def run_on(
    target: Device | str, *steps: dict[str, Any], tenant: Tenant | None = None
) -> PlaybookRun:
    """Start a run of these steps on a device, or on a query within a tenant."""
    where: dict[str, Any] = {"query": target}
    if isinstance(target, Device):
        tenant, where = target.tenant, {"device": target}
    assert tenant is not None
    count = Playbook.objects.count()
    playbook = make_playbook(tenant, *steps, name=f"Playbook {count}")
    return start_run(RunRequest(tenant, playbook, **where), actor=UserFactory.create())


def tick(at: datetime | None = None) -> None:
    """Let the sweep do what is due."""
    advance_runs_across_tenants(now=at or now())


def shown(run: PlaybookRun) -> dict[str, list[tuple[int, str]]]:
    """Return number and status of each device's steps, by uid."""
    members = list(list_run_devices(run))
    steps = steps_of(run, members)
    return {
        each.uid: [(s["number"], s["status"]) for s in steps[each.pk]]
        for each in members
    }


def results(run: PlaybookRun, uid: str) -> list[Any]:
    """Return the results of one device's steps."""
    members = [each for each in list_run_devices(run) if each.uid == uid]
    return [step["result"] for step in steps_of(run, members)[members[0].pk]]
