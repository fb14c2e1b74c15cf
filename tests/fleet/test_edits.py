"""Edits in bulk: what they change, what they leave out, and how they are undone."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.models import EditedDevice, FleetEdit
from fleet.services import edits
from fleet.services.edit_runs import (
    GIVEN_UP_AFTER,
    KEPT,
    forget_edits_across_tenants,
    run_next_edit_across_tenants,
)
from fleet.services.indexing import Indexer
from registry.choices import Lifecycle, Role
from registry.models import (
    AuditEntry,
    Credential,
    Device,
    LifecycleMove,
    Membership,
    MembershipLimit,
)
from registry.services.credentials import issue_credential
from tests.acting import acting
from tests.factories import DeviceFactory, SiteFactory, SpaceFactory
from tests.fleet.test_api import Caller

pytestmark = pytest.mark.django_db

EDIT = "fleet/edit/"
SCHEMA = {
    "type": "object",
    "properties": {"battery_rev": {"enum": ["A", "B"]}, "shelf": {"type": "integer"}},
    "additionalProperties": False,
}


class World:
    """Devices of one tenant, and a manager who edits them."""

    def __init__(self, indexer: Indexer, count: int = 3) -> None:
        self.indexer = indexer
        first = DeviceFactory.create(
            uid="d-0", tags=["old"], product__attributes_schema=SCHEMA
        )
        self.tenant, self.site, self.product = first.tenant, first.site, first.product
        for number in range(1, count):
            self.add(f"d-{number}", tags=["old"])
        indexer.drain()
        self.manager = Caller(Role.MANAGER, first)

    def add(self, uid: str, **fields: Any) -> Device:
        own: dict[str, Any] = {"tenant": self.tenant, "site": self.site}
        own.update(uid=uid, product=self.product, **fields)
        made: Device = DeviceFactory.create(**own)
        return made

    def edit(self, status: int = 201, query: str = "*", **fields: Any) -> Any:
        asked = ("dry_run", "expected_count")
        body: dict[str, Any] = {k: fields.pop(k) for k in asked if k in fields}
        body |= {"query": query, "set": fields, "reason": "The move"}
        return self.manager.send("post", EDIT, body, status)

    def undo(self, edit: Any, status: int = 200) -> Any:
        return self.manager.send("post", f"{EDIT}{edit['id']}/undo/", {}, status)

    def device(self, uid: str = "d-0") -> Device:
        return Device.objects.select_related("site", "space").get(uid=uid)


@pytest.fixture
def world(indexer: Indexer) -> World:
    return World(indexer)


def test_every_device_of_the_query_is_changed_and_restored(world: World) -> None:
    there = SiteFactory.create(tenant=world.tenant, slug="there")
    space = SpaceFactory.create(tenant=world.tenant, site=world.site, slug="room")
    Device.objects.filter(uid="d-0").update(
        space=space, attributes={"battery_rev": "A", "shelf": 1}
    )

    edit = world.edit(
        tags={"add": ["new"], "remove": ["old"]},
        site="there",
        lifecycle="in_repair",
        attributes={"battery_rev": "B", "shelf": None},
    )

    assert (edit["count"], edit["changed"], edit["status"]) == (3, 3, "done")
    changed = world.device()
    assert (changed.tags, changed.site, changed.space) == (["new"], there, None)
    assert changed.lifecycle == "in_repair"
    assert changed.attributes == {"battery_rev": "B"}
    assert LifecycleMove.objects.filter(reason="The move").count() == 3

    undone = world.undo(edit)

    assert undone["status"] == "undone"
    assert (undone["undo"]["restored"], undone["undo"]["skipped"]) == (3, 0)
    before = world.device()
    assert (before.tags, before.site, before.space) == (["old"], world.site, space)
    assert before.lifecycle == "active"
    assert before.attributes == {"battery_rev": "A", "shelf": 1}
    world.undo(edit, 409)


def test_a_dry_run_counts_and_creates_nothing(world: World) -> None:
    world.add("d-9", lifecycle=Lifecycle.PROVISIONED)
    world.indexer.drain()

    seen = world.edit(200, lifecycle="in_repair", dry_run=True)

    assert (seen["id"], seen["count"], seen["changed"]) == (None, 4, 3)
    reason = "is provisioned: it cannot become in repair"
    assert seen["left_out"] == [{"reason": reason, "count": 1, "devices": ["d-9"]}]
    assert not FleetEdit.objects.exists()
    assert set(Device.objects.values_list("lifecycle", flat=True)) == {
        "active",
        "provisioned",
    }


def test_another_count_than_the_expected_one_is_refused(world: World) -> None:
    refused = world.edit(409, tags={"add": ["x"]}, expected_count=2)
    world.edit(tags={"add": ["x"]}, expected_count=3)

    assert (refused["count"], refused["expected_count"]) == (3, 2)
    assert FleetEdit.objects.count() == 1


def test_devices_that_may_not_change_are_named_and_stay(world: World) -> None:
    world.add("d-8", tags=[f"t{number}" for number in range(50)])
    world.add("d-9", lifecycle=Lifecycle.RETIRED)
    world.indexer.drain()

    edit = world.edit(tags={"add": ["x"]}, lifecycle="in_repair")

    assert (edit["count"], edit["changed"]) == (5, 3)
    assert {tuple(row["devices"]): row["reason"] for row in edit["left_out"]} == {
        ("d-8",): "would have 51 tags; at most 50",
        ("d-9",): "is retired: it cannot become in repair",
    }
    assert world.device("d-9").tags == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({}, "set"),
        ({"tags": {"add": ["a b"]}}, "set.tags.add"),
        ({"tags": {"add": ["a"], "remove": ["a"]}}, "set.tags.remove"),
        ({"tags": {"more": ["a"]}}, "set.tags.more"),
        ({"site": "nowhere"}, "set.site"),
        ({"lifecycle": "gone"}, "set.lifecycle"),
        ({"lifecycle": "replaced"}, "set.lifecycle"),
        ({"attributes": {"battery_rev": "C"}}, "set.attributes.battery_rev"),
        ({"attributes": {"nonsense": 1}}, "set.attributes.nonsense"),
        ({"name": "x"}, "set.name"),
    ],
)
def test_a_wrong_change_is_refused_by_its_field(
    world: World, wanted: dict[str, Any], field: str
) -> None:
    refused = world.edit(400, **wanted)

    assert field in [row["field"] for row in refused["errors"]]
    assert not FleetEdit.objects.exists()


def test_a_reason_and_a_query_that_finds_something_are_needed(world: World) -> None:
    body: dict[str, Any] = {"query": "*", "set": {"tags": {"add": ["x"]}}}

    silent = world.manager.send("post", EDIT, body, 400)
    nobody = world.edit(400, query="uid:nobody", tags={"add": ["x"]})
    wrong = world.edit(400, query="tagg:x", tags={"add": ["x"]})

    assert [answer["errors"][0]["field"] for answer in (silent, nobody, wrong)] == [
        "reason",
        "query",
        "query",
    ]


def test_nothing_that_may_change_is_a_conflict(world: World) -> None:
    refused = world.edit(409, lifecycle="provisioned")

    assert refused["left_out"][0]["count"] == 3


def test_an_undo_restores_only_what_nobody_changed_since(world: World) -> None:
    edit = world.edit(
        tags={"add": ["new"]}, attributes={"battery_rev": "A", "shelf": 1}
    )
    Device.objects.filter(uid="d-0").update(tags=["mine"])
    Device.objects.filter(uid="d-1").update(attributes={"battery_rev": "B", "shelf": 1})
    Device.objects.filter(uid="d-2").update(
        tags=["mine"], attributes={"battery_rev": "B", "shelf": 2}
    )

    undone = world.undo(edit)["undo"]

    assert (undone["restored"], undone["skipped"]) == (2, 1)
    assert world.device("d-0").tags == ["mine"]
    assert world.device("d-0").attributes == {}
    assert world.device("d-1").tags == ["old"]
    assert world.device("d-1").attributes == {"battery_rev": "B"}
    assert world.device("d-2").attributes == {"battery_rev": "B", "shelf": 2}
    assert {tuple(row["devices"]): row["reason"] for row in undone["reasons"]} == {
        ("d-0",): "tags: changed since",
        ("d-1",): "attributes.battery_rev: changed since",
        ("d-2",): "tags: changed since; attributes.battery_rev: changed since;"
        " attributes.shelf: changed since",
    }


def test_retired_devices_lose_their_credentials_and_do_not_come_back(
    world: World,
) -> None:
    issue_credential(world.device())

    edit = world.edit(lifecycle="retired")
    undone = world.undo(edit)

    assert Credential.objects.get().revoked_at is not None
    assert undone["undo"]["skipped"] == 3
    assert world.device().lifecycle == "retired"


def test_the_file_has_what_each_device_was_before(world: World) -> None:
    Device.objects.filter(uid="d-1").update(tags=["=x"])
    edit = world.edit(query="uid:d-0 OR uid:d-1", tags={"remove": ["old"]})
    url = f"/api/v1/{EDIT}{edit['id']}/file/"

    plain = b"".join(world.manager.client.get(url))
    lines = b"".join(world.manager.client.get(f"{url}?format=ndjson"))

    rows = list(csv.DictReader(plain.decode().splitlines()))
    assert [row["device"] for row in rows] == ["d-0", "d-1"]
    assert json.loads(rows[0]["before"]) == {"tags": ["old"]}
    first, second = map(json.loads, lines.splitlines())
    assert (first["before"], first["after"]) == ({"tags": ["old"]}, {"tags": []})
    assert (second["result"], second["before"]) == ("unchanged", {})


def test_each_change_stands_in_the_audit_log(world: World) -> None:
    wanted = edits.EditRequest(world.tenant, "*", {"tags": {"add": ["new"]}}, "Why")
    with acting(world.manager.user):
        edits.start_edit(wanted, actor=world.manager.user)

    entry = AuditEntry.objects.get(kind="device", object_name="d-1", action="changed")
    assert (entry.before, entry.after) == ({"tags": ["old"]}, {"tags": ["old", "new"]})
    assert entry.user_id == world.manager.user.pk
    assert AuditEntry.objects.filter(kind="fleet_edit", action="created").count() == 1


def test_a_limited_member_edits_and_sees_only_their_own_devices(world: World) -> None:
    beyond = world.add("far-1", site=SiteFactory.create(tenant=world.tenant))
    world.indexer.drain()
    whole = world.edit(tags={"add": ["all"]})
    limited = Caller(Role.MANAGER, beyond)
    membership = Membership.objects.get(user=limited.user)
    MembershipLimit.objects.create(
        membership=membership, tenant=world.tenant, site=beyond.site
    )
    limited.user.tenants = limited.user.roles_by_tenant = None

    body = {"query": "*", "set": {"tags": {"add": ["own"]}}, "reason": "Mine"}
    edit = limited.send("post", EDIT, body, 201)
    there = body | {"set": {"site": world.site.slug}}
    elsewhere = limited.send("post", EDIT, there, 400)
    limited.get(f"{EDIT}{whole['id']}/", 404)
    limited.get(f"{EDIT}{edit['id']}/")

    assert (edit["count"], world.device("d-0").tags) == (1, ["old", "all"])
    assert elsewhere["errors"][0]["field"] == "set.site"
    listed = limited.get(EDIT)["results"]
    assert [row["id"] for row in listed] == [edit["id"]]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_only_those_who_manage_devices_may_edit_them(world: World, role: Role) -> None:
    edit = world.edit(tags={"add": ["new"]})
    other = Caller(role, world.device())
    body = {"query": "*", "set": {"tags": {"add": ["x"]}}, "reason": "Mine"}

    other.send("post", EDIT, body, 403)
    other.send("post", f"{EDIT}{edit['id']}/undo/", {}, 403)

    assert other.get(f"{EDIT}{edit['id']}/")["changed"] == 3


def test_a_worker_finishes_a_large_edit_in_batches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "AT_ONCE", 1)
    monkeypatch.setattr(edits, "BATCH", 2)
    edit = world.edit(tags={"add": ["new"]})
    assert (edit["status"], edit["pending"]) == ("queued", 3)
    world.undo(edit, 409)

    # A worker that dies after a batch: another goes on with the rest.
    row = FleetEdit.objects.select_related("tenant").get()
    now = timezone.now()
    assert edits.work_on(row, row.tenant, now=now)
    assert not run_next_edit_across_tenants(now=now)
    assert run_next_edit_across_tenants(now=now + GIVEN_UP_AFTER + timedelta(seconds=1))

    done = world.manager.get(f"{EDIT}{edit['id']}/")
    assert (done["status"], done["changed"], done["pending"]) == ("done", 3, 0)
    assert world.device("d-2").tags == ["old", "new"]
    later = now + 3 * GIVEN_UP_AFTER
    assert world.undo(edit)["status"] == "undoing"
    assert run_next_edit_across_tenants(now=later)
    assert world.device("d-2").tags == ["old"]


def test_an_edit_of_somebody_who_lost_the_right_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "AT_ONCE", 1)
    edit = world.edit(tags={"add": ["new"]})
    world.manager.user.is_active = False
    world.manager.user.save()

    run_next_edit_across_tenants(now=timezone.now())

    row = FleetEdit.objects.get(public_id=edit["id"])
    assert row.status == "failed"
    assert "may no longer" in row.detail
    assert world.device().tags == ["old"]


def test_an_edit_takes_the_same_statements_for_any_number(indexer: Indexer) -> None:
    counts = []
    for number in (3, 30):
        Device.objects.all().delete()
        world = World(indexer, count=number)
        with CaptureQueriesContext(connection) as queries:
            edit = world.edit(tags={"add": ["new"]}, lifecycle="in_repair")
        assert edit["changed"] == number
        counts.append(len(queries))

    assert counts[1] <= counts[0] + 1


def test_old_edits_are_forgotten_with_their_files(world: World) -> None:
    world.edit(tags={"add": ["new"]})
    now = timezone.now()

    assert forget_edits_across_tenants(now=now) == 0
    assert forget_edits_across_tenants(now=now + KEPT + timedelta(days=1)) == 1

    assert not EditedDevice.objects.exists()
