"""A limited member accesses nothing beyond the limit: search, jobs, snapshots."""

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
class LimitedAccess:
    """Two devices at two sites, and clients who may access one of them and both."""

    inside: Device
    beyond: Device
    limited: APIClient
    whole: APIClient

    def get(self, path: str, client: APIClient | None = None) -> Any:
        """Return what a client reads, by default the limited one."""
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
def access(indexer: Indexer) -> LimitedAccess:
    """An indexed fleet, half of it within a limit."""
    acme = TenantFactory(slug="acme")
    product = ProductFactory(tenant=acme)
    inside = DeviceFactory(tenant=acme, uid="inside", product=product)
    beyond = DeviceFactory(tenant=acme, uid="beyond", product=product)
    for device in (inside, beyond):
        make_presence(device)
        make_alarm(device)
    indexer.drain()
    return LimitedAccess(
        inside, beyond, _client(acme, limited_to=inside), _client(acme)
    )


def test_a_search_finds_and_counts_within_the_limit(access: LimitedAccess) -> None:
    found = access.get("fleet/search/?q=*&facets=site")

    assert [row["uid"] for row in found["results"]] == ["inside"]
    assert found["total"] == 1
    assert [row["value"] for row in found["facets"]["site"]] == [
        access.inside.site.slug
    ]


def test_an_export_has_the_devices_within_the_limit(access: LimitedAccess) -> None:
    path = "/api/v1/fleet/export/?q=*&fields=uid"

    files: list[Any] = [access.limited.get(path), access.whole.get(path)]

    uids = [sorted(b"".join(file.streaming_content).split()[1:]) for file in files]
    assert uids == [[b"inside"], [b"beyond", b"inside"]]


def test_no_query_text_bypasses_the_limit(access: LimitedAccess) -> None:
    for q in ("uid:beyond", "NOT uid:inside", f"site:{access.beyond.site.slug}"):
        assert access.get(f"fleet/search/?q={q}")["total"] == 0


@pytest.mark.parametrize("source", [{"query": "*"}, {"devices": ["inside"]}])
def test_a_limited_members_job_contains_only_their_devices(
    access: LimitedAccess, source: dict[str, Any]
) -> None:
    body = {"name": "j", "command": {"name": "identify"}} | source

    answer = access.limited.post("/api/v1/jobs/", body, format="json")

    assert answer.status_code == 201, answer.content
    uids = JobTarget.objects.values_list("device__uid", flat=True)
    assert list(uids) == ["inside"]


def test_a_device_beyond_the_limit_cannot_be_named_in_a_job(
    access: LimitedAccess,
) -> None:
    body = {"name": "j", "command": {"name": "identify"}, "devices": ["beyond"]}

    answer = access.limited.post("/api/v1/jobs/", body, format="json")

    assert answer.status_code == 400
    assert not JobTarget.objects.exists()


def test_a_job_with_devices_beyond_the_limit_is_not_found(
    access: LimitedAccess,
) -> None:
    body = {"name": "all", "command": {"name": "identify"}, "query": "*"}
    made = access.whole.post("/api/v1/jobs/", body, format="json").json()

    assert access.get("jobs/")["results"] == []
    path = f"/api/v1/jobs/{made['id']}/"
    assert access.limited.get(path).status_code == 404
    assert access.limited.post(f"{path}cancel/", {}, format="json").status_code == 404


def test_a_cohort_counts_and_freezes_what_its_reader_may_access(
    access: LimitedAccess,
) -> None:
    body = {"name": "everything", "query": "*"}
    cohort = access.whole.post("/api/v1/cohorts/", body, format="json").json()["id"]

    mine = access.limited.post(f"/api/v1/cohorts/{cohort}/snapshot/").json()
    theirs = access.whole.post(f"/api/v1/cohorts/{cohort}/snapshot/").json()

    members = access.get(f"snapshots/{mine['id']}/members/")["results"]
    assert [row["device"] for row in members] == ["inside"]
    beyond = access.limited.get(f"/api/v1/snapshots/{theirs['id']}/members/")
    assert beyond.status_code == 404


def test_alarms_and_commands_beyond_the_limit_are_not_found(
    access: LimitedAccess,
) -> None:
    mine, theirs = (make_command(row) for row in (access.inside, access.beyond))

    alarms = access.get("alarms/")["results"]
    commands = access.get("commands/")["results"]

    assert [row["device"] for row in alarms] == ["inside"]
    assert [row["id"] for row in commands] == [str(mine.public_id)]
    path = f"/api/v1/commands/{theirs.public_id}/cancel/"
    assert access.limited.post(path).status_code == 404


def test_every_endpoint_of_a_device_beyond_the_limit_is_404(
    access: LimitedAccess,
) -> None:
    for path in ("", "state/", "timeline/", "credentials/"):
        answer = access.limited.get(f"/api/v1/devices/beyond/{path}")
        assert answer.status_code == 404, path
    sent = {"device": "beyond", "name": "identify"}
    answer = access.limited.post("/api/v1/commands/", sent, format="json")
    assert answer.status_code in (400, 404)


def test_a_limited_member_changes_nothing_of_the_whole_tenant(
    access: LimitedAccess,
) -> None:
    product = access.inside.product.slug
    path = f"/api/v1/products/{product}/"

    assert access.limited.get(path).status_code == 200
    assert access.limited.patch(path, {"name": "x"}, format="json").status_code == 403
    assert access.whole.patch(path, {"name": "x"}, format="json").status_code == 200


def test_a_site_outside_the_limit_is_not_made(access: LimitedAccess) -> None:
    answer = access.limited.post("/api/v1/sites/", {"slug": "new"}, format="json")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "project"


def test_the_console_shows_a_limited_member_their_devices_only(
    access: LimitedAccess, client: Any
) -> None:
    user: Any = MembershipLimit.objects.get().membership.user
    client.force_login(user)

    page = client.get("/fleet/?q=*").content.decode()

    assert "inside" in page
    assert "beyond" not in page
    assert client.get("/devices/beyond/").status_code == 404
