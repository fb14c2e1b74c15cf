"""A limited member's doors stop at the limit: search, counts, jobs, snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from rest_framework.test import APIClient

from commands.models import JobTarget
from fleet.services.indexing import Indexer
from registry.models import Device, MembershipLimit, Tenant
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    TenantFactory,
)
from tests.fleet.rows import make_alarm, make_command, make_presence

pytestmark = pytest.mark.django_db


@dataclass
class Reached:
    """Two devices at two sites, and clients who reach one and both."""

    inside: Device
    beyond: Device
    limited: APIClient
    whole: APIClient

    def get(self, path: str, client: APIClient | None = None) -> Any:
        """What a client (the limited one) reads."""
        answer = (client or self.limited).get(f"/api/v1/{path}")
        assert answer.status_code == 200, answer.content
        return answer.json()


def _client(tenant: Tenant, *, limited_to: Device | None = None) -> APIClient:
    member = MembershipFactory(tenant=tenant, role="manager")
    if limited_to is not None:
        MembershipLimit.objects.create(
            membership=member, tenant=tenant, site=limited_to.site
        )
    client = APIClient()
    client.force_authenticate(member.user)
    return client


@pytest.fixture
def reached(indexer: Indexer) -> Reached:
    """An indexed fleet, half of it within a limit."""
    acme = TenantFactory(slug="acme")
    product = ProductFactory(tenant=acme)
    inside = DeviceFactory(tenant=acme, uid="inside", product=product)
    beyond = DeviceFactory(tenant=acme, uid="beyond", product=product)
    for device in (inside, beyond):
        make_presence(device)
        make_alarm(device)
    indexer.drain()
    return Reached(inside, beyond, _client(acme, limited_to=inside), _client(acme))


def test_a_search_finds_and_counts_within_the_limit(reached: Reached) -> None:
    found = reached.get("fleet/search/?q=*&facets=site")

    assert [row["uid"] for row in found["results"]] == ["inside"]
    assert found["total"] == 1
    assert [row["value"] for row in found["facets"]["site"]] == [
        reached.inside.site.slug
    ]


def test_no_query_text_gets_past_the_limit(reached: Reached) -> None:
    for q in ("uid:beyond", "NOT uid:inside", f"site:{reached.beyond.site.slug}"):
        assert reached.get(f"fleet/search/?q={q}")["total"] == 0


@pytest.mark.parametrize("source", [{"query": "*"}, {"devices": ["inside"]}])
def test_a_limited_members_job_reaches_only_their_devices(
    reached: Reached, source: dict[str, Any]
) -> None:
    body = {"name": "j", "command": {"name": "identify"}} | source

    answer = reached.limited.post("/api/v1/jobs/", body, format="json")

    assert answer.status_code == 201, answer.content
    uids = JobTarget.objects.values_list("device__uid", flat=True)
    assert list(uids) == ["inside"]


def test_a_device_beyond_the_limit_cannot_be_named_in_a_job(reached: Reached) -> None:
    body = {"name": "j", "command": {"name": "identify"}, "devices": ["beyond"]}

    answer = reached.limited.post("/api/v1/jobs/", body, format="json")

    assert answer.status_code == 400
    assert not JobTarget.objects.exists()


def test_a_job_with_devices_beyond_the_limit_is_not_there(reached: Reached) -> None:
    body = {"name": "all", "command": {"name": "identify"}, "query": "*"}
    made = reached.whole.post("/api/v1/jobs/", body, format="json").json()

    assert reached.get("jobs/")["results"] == []
    path = f"/api/v1/jobs/{made['id']}/"
    assert reached.limited.get(path).status_code == 404
    assert reached.limited.post(f"{path}cancel/", {}, format="json").status_code == 404


def test_a_cohort_counts_and_freezes_what_its_reader_reaches(reached: Reached) -> None:
    body = {"name": "everything", "query": "*"}
    cohort = reached.whole.post("/api/v1/cohorts/", body, format="json").json()["id"]

    mine = reached.limited.post(f"/api/v1/cohorts/{cohort}/snapshot/").json()
    theirs = reached.whole.post(f"/api/v1/cohorts/{cohort}/snapshot/").json()

    members = reached.get(f"snapshots/{mine['id']}/members/")["results"]
    assert [row["device"] for row in members] == ["inside"]
    beyond = reached.limited.get(f"/api/v1/snapshots/{theirs['id']}/members/")
    assert beyond.status_code == 404


def test_alarms_and_commands_beyond_the_limit_are_not_there(reached: Reached) -> None:
    mine, theirs = (make_command(row) for row in (reached.inside, reached.beyond))

    alarms = reached.get("alarms/")["results"]
    commands = reached.get("commands/")["results"]

    assert [row["device"] for row in alarms] == ["inside"]
    assert [row["id"] for row in commands] == [str(mine.public_id)]
    path = f"/api/v1/commands/{theirs.public_id}/cancel/"
    assert reached.limited.post(path).status_code == 404


def test_every_door_of_a_device_beyond_the_limit_is_closed(reached: Reached) -> None:
    for path in ("", "state/", "timeline/", "credentials/"):
        answer = reached.limited.get(f"/api/v1/devices/beyond/{path}")
        assert answer.status_code == 404, path
    sent = {"device": "beyond", "name": "identify"}
    answer = reached.limited.post("/api/v1/commands/", sent, format="json")
    assert answer.status_code in (400, 404)


def test_who_is_limited_changes_nothing_of_the_whole_tenant(reached: Reached) -> None:
    product = reached.inside.product.slug
    path = f"/api/v1/products/{product}/"

    assert reached.limited.get(path).status_code == 200
    assert reached.limited.patch(path, {"name": "x"}, format="json").status_code == 403
    assert reached.whole.patch(path, {"name": "x"}, format="json").status_code == 200


def test_a_site_outside_of_the_limit_is_not_made(reached: Reached) -> None:
    answer = reached.limited.post("/api/v1/sites/", {"slug": "new"}, format="json")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "project"


def test_the_console_shows_a_limited_member_their_devices_only(
    reached: Reached, client: Any
) -> None:
    user: Any = MembershipLimit.objects.get().membership.user
    client.force_login(user)

    page = client.get("/fleet/?q=*").content.decode()

    assert "inside" in page
    assert "beyond" not in page
    assert client.get("/devices/beyond/").status_code == 404
