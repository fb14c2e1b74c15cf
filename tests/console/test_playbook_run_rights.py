"""Whose devices a run may name, and who sees and steers it."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from console.exceptions import NoSuchRun
from console.selectors.playbooks import get_run
from console.tasks import take_attention
from registry.choices import Role
from registry.models import MembershipLimit
from registry.permissions import Right, tenants_where
from tests.console.conftest import Fleet
from tests.console.playbooks import (
    ASK,
    NOTE,
    RUNS,
    client_of,
    make_playbook,
    run_on,
    shown,
    tick,
)
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def test_a_run_needs_one_device_or_one_query(acme: Fleet, globex: Fleet) -> None:
    playbook = make_playbook(acme.tenant, NOTE)
    url = f"/api/v1/playbooks/{playbook.public_id}/runs/"
    client = client_of(acme)

    def asked(body: Any) -> tuple[int, list[str]]:
        answer = client.post(url, body, format="json")
        errors = answer.json().get("errors", []) if answer.status_code >= 400 else []
        return answer.status_code, [row["field"] for row in errors]

    assert asked({}) == (400, ["device"])
    assert asked({"device": "sh-1", "query": "*"}) == (400, ["device"])
    assert asked({"query": "firmwear:1"}) == (400, ["query"])
    assert asked({"query": "site:nowhere"}) == (400, ["query"])
    assert asked({"device": "gx-0"})[0] == 404
    assert asked({"device": "sh-1"})[0] == 201
    built_in = client.post(
        "/api/v1/playbooks/site-outage/runs/", {"query": "*"}, format="json"
    )
    assert (built_in.status_code, built_in.json()["version"]) == (201, 1)
    runs = client.get(RUNS).json()["results"]
    assert [row["device_count"] for row in runs] == [4, 1]
    devices = client.get(f"{RUNS}{runs[0]['id']}/devices/?limit=3").json()
    assert [row["device"] for row in devices["results"]] == ["mu-0", "sh-0", "sh-1"]


def test_a_limited_member_runs_and_sees_only_within_the_limit(acme: Fleet) -> None:
    member = MembershipFactory.create(tenant=acme.tenant, role=Role.OPERATOR)
    site = acme.devices[0].site
    MembershipLimit.objects.create(membership=member, tenant=acme.tenant, site=site)
    whole = run_on("*", ASK, tenant=acme.tenant)
    tenants = tenants_where(member.user, Right.OPERATE)

    mine = run_on("*", ASK, tenant=tenants[0])
    tick()
    take_attention()

    assert set(shown(mine)) == {"sh-0", "sh-1", "sh-2"}
    assert get_run(tenants=tenants, public_id=mine.public_id) == mine
    with pytest.raises(NoSuchRun):
        get_run(tenants=tenants, public_id=whole.public_id)
    client = APIClient()
    client.force_authenticate(member.user)
    items = client.get("/api/v1/work-items/?kind=playbook_step").json()["results"]
    assert [item["object"]["id"] for item in items] == [str(mine.public_id)]


def test_another_tenants_run_is_not_found(acme: Fleet, globex: Fleet) -> None:
    run = run_on(acme.devices[0], ASK)
    tick()
    url, client = f"{RUNS}{run.public_id}/", client_of(globex, Role.ADMIN)

    assert client.get(url).status_code == 404
    assert client.get(f"{url}devices/").status_code == 404
    for action in ("stop", "steps/1", "steps/1/skip", "steps/1/retry"):
        body = {"answer": "Yes"}
        assert client.post(f"{url}{action}/", body, format="json").status_code == 404


def test_viewers_see_runs_and_steer_none(acme: Fleet) -> None:
    run = run_on(acme.devices[0], ASK)
    tick()
    url, client = f"{RUNS}{run.public_id}/", client_of(acme, Role.VIEWER)

    assert client.get(url).status_code == 200
    for action in ("stop", "steps/1", "steps/1/skip", "steps/1/retry"):
        body = {"answer": "Yes"}
        assert client.post(f"{url}{action}/", body, format="json").status_code == 403
