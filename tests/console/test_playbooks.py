"""Playbooks are made and changed through the API, after every check of their steps."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from console.definitions import BUILT_IN
from console.models import PlaybookVersion
from console.services.playbooks.edit import check_steps
from console.validation import compile_steps, step_errors
from registry.choices import Role
from registry.models import Tenant
from tests.console.playbooks import ASK, NOTE, REBOOT, make_playbook
from tests.factories import MembershipFactory, TenantFactory

pytestmark = pytest.mark.django_db
PLAYBOOKS = "/api/v1/playbooks/"
CHECK = {"kind": "check", "query": "connectivity:online"}
WAIT = {"kind": "wait", "seconds": 5}


def client_of(tenant: Tenant, role: Role = Role.OPERATOR) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(tenant=tenant, role=role).user)
    return client


def branch(then: Any, otherwise: Any = None) -> dict[str, Any]:
    return {"kind": "branch", "query": "*", "then": then, "else": otherwise}


def errors_of(tenant: Tenant, *steps: Any) -> list[str]:
    answer = client_of(tenant).post(
        PLAYBOOKS, {"name": "P", "steps": list(steps)}, format="json"
    )
    assert answer.status_code == 400, answer.content
    return [row["field"] for row in answer.json()["errors"]]


def test_every_tenant_has_six_built_in_playbooks_which_nobody_changes() -> None:
    tenant = TenantFactory.create()
    client = client_of(tenant, Role.ADMIN)

    rows = client.get(PLAYBOOKS).json()["results"]

    assert [row["id"] for row in rows] == list(BUILT_IN)
    assert len(rows) == 6
    assert all(row["built_in"] and row["tenant"] is None for row in rows)
    for row in rows:
        assert check_steps(row["steps"], tenant=tenant) == []
        url = f"{PLAYBOOKS}{row['id']}/"
        assert client.get(url).json() == row
        assert client.patch(url, {"name": "x"}, format="json").status_code == 409
        assert client.delete(url).status_code == 409


def test_a_change_makes_a_new_version_and_keeps_the_old_one() -> None:
    client = client_of(TenantFactory.create())
    made = client.post(
        PLAYBOOKS, {"name": "Look", "steps": [NOTE]}, format="json"
    ).json()
    assert (made["version"], made["built_in"]) == (1, False)

    changed = client.patch(
        f"{PLAYBOOKS}{made['id']}/", {"steps": [NOTE, ASK]}, format="json"
    ).json()

    assert (changed["version"], changed["name"]) == (2, "Look")
    kept = PlaybookVersion.objects.order_by("number").values_list("number", "steps")
    assert list(kept) == [(1, [NOTE]), (2, [NOTE, ASK])]


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ([{"kind": "explode"}], "steps.0"),
        ([NOTE, {"kind": ["note"]}], "steps.1"),
        ([NOTE, "note"], "steps.1"),
        ([NOTE | {"color": "red"}], "steps.0.color"),
        ([{"kind": "note"}], "steps.0.text"),
        ([{"kind": "check", "query": "firmwear:1"}], "steps.0.query"),
        ([NOTE, {"kind": "check", "query": ""}], "steps.1.query"),
        ([{"kind": "wait", "seconds": 0}], "steps.0.seconds"),
        ([{"kind": "wait", "seconds": True}], "steps.0.seconds"),
        ([ASK | {"answers": []}], "steps.0.answers"),
        ([ASK | {"answers": ["Yes", "Yes"]}], "steps.0.answers"),
        ([{"kind": "send", "command": {"name": "fly"}}], "steps.0.command.name"),
        (
            [{"kind": "send", "command": {"name": "reboot", "params": {"x": 1}}}],
            "steps.0.command.params.x",
        ),
        ([branch([{"kind": "fly"}])], "steps.0.then.0"),
        ([branch(1)], "steps.0.then"),
        ([NOTE, branch(None, 1)], "steps.1.else"),
        ([branch(9)], "steps.0.then"),
        ([branch([branch([branch([branch([NOTE])])])])], "steps.0.then.0.then.0.then"),
    ],
)
def test_an_error_names_the_step_and_its_field(steps: list[Any], field: str) -> None:
    assert errors_of(TenantFactory.create(), *steps) == [field]


def test_steps_are_a_list_of_at_most_fifty() -> None:
    tenant = TenantFactory.create()

    assert errors_of(tenant) == ["steps"]
    assert step_errors({"kind": "note"})[0]["field"] == "steps"
    assert step_errors([NOTE] * 50) == []
    assert errors_of(tenant, *[NOTE] * 51) == ["steps"]


def test_steps_of_branches_count_along_and_come_together_again() -> None:
    program = compile_steps([branch([NOTE, WAIT], [ASK]), CHECK, branch(5), NOTE])

    ways = {n: (s.kind.value, s.next, s.then, s.otherwise) for n, s in program.items()}
    assert ways == {
        1: ("branch", 5, 2, 4),
        2: ("note", 3, 0, 0),
        3: ("wait", 5, 0, 0),
        4: ("ask", 5, 0, 0),
        5: ("check", 6, 0, 0),
        6: ("branch", 7, 5, 7),
        7: ("note", 0, 0, 0),
    }


def test_a_name_is_taken_once_in_a_tenant() -> None:
    tenant = TenantFactory.create()
    make_playbook(tenant, NOTE, name="Look")
    make_playbook(TenantFactory.create(), NOTE, name="Look")
    client = client_of(tenant)

    for name in ("Look", BUILT_IN["site-outage"].name):
        body = {"name": name, "steps": [REBOOT]}
        answer = client.post(PLAYBOOKS, body, format="json")
        assert answer.status_code == 409
        assert answer.json()["errors"][0]["field"] == "name"


def test_viewers_read_playbooks_and_change_nothing() -> None:
    tenant = TenantFactory.create()
    row = make_playbook(tenant, NOTE)
    client = client_of(tenant, Role.VIEWER)
    url = f"{PLAYBOOKS}{row.public_id}/"

    assert client.get(url).status_code == 200
    body = {"name": "x", "steps": [NOTE]}
    assert client.post(PLAYBOOKS, body, format="json").status_code == 403
    assert client.patch(url, body, format="json").status_code == 403
    assert client.delete(url).status_code == 403
    assert client.post(f"{url}runs/", {"query": "*"}, format="json").status_code == 403


def test_another_tenants_playbook_is_not_found() -> None:
    row = make_playbook(TenantFactory.create(), NOTE)
    client = client_of(TenantFactory.create(), Role.ADMIN)
    url = f"{PLAYBOOKS}{row.public_id}/"

    assert client.get(url).status_code == 404
    assert client.post(f"{url}runs/", {"query": "*"}, format="json").status_code == 404
    assert client.get(f"{PLAYBOOKS}nothing/").status_code == 404
