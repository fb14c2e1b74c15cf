"""A cohort calls for a number and for each device: none missed, none twice."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Cohort, CohortCall, CohortMember, CohortWatch, Outbox
from fleet.services.calls import forget_calls_across_tenants
from fleet.services.cohort_watch import SAME_CALL, SETTLE, watch_cohorts_across_tenants
from fleet.services.cohorts import delete_cohort, edit_cohort, save_cohort
from fleet.services.indexing import Indexer, request_rebuild
from registry.choices import Role
from registry.models import Device, MembershipLimit
from tests.factories import DeviceFactory, MembershipFactory, SiteFactory

pytestmark = pytest.mark.django_db


class Tagged:
    """A tenant's devices; those with the tag are the cohort."""

    def __init__(self, indexer: Indexer, count: int) -> None:
        self.indexer = indexer
        first = DeviceFactory.create(uid="d-0")
        self.tenant = first.tenant
        same = {"tenant": first.tenant, "site": first.site, "product": first.product}
        for number in range(1, count):
            DeviceFactory.create(uid=f"d-{number}", **same)
        indexer.drain()

    def tag(self, *numbers: int, tags: tuple[str, ...] = ("cold",)) -> None:
        uids = [f"d-{number}" for number in numbers]
        Device.objects.filter(uid__in=uids).update(tags=list(tags))

    def untag(self, *numbers: int) -> None:
        self.tag(*numbers, tags=())

    def look(self) -> int:
        """Index what was changed, and let the worker look."""
        while self.indexer.drain():
            pass
        return watch_cohorts_across_tenants()

    def cohort(self, **values: Any) -> Cohort:
        self.indexer.drain()
        given = {"name": "Cold", "query": "tag:cold"} | values
        return save_cohort(tenant=self.tenant, actor=None, **given)

    def client(self, role: Role = Role.OPERATOR, *, at: Any = None) -> APIClient:
        member = MembershipFactory.create(tenant=self.tenant, role=role)
        if at is not None:
            MembershipLimit.objects.create(
                membership=member, tenant=self.tenant, site=at
            )
        client = APIClient()
        client.force_authenticate(member.user)
        return client


@pytest.fixture
def fleet(indexer: Indexer) -> Tagged:
    return Tagged(indexer, 6)


def moves() -> Counter[tuple[str, str]]:
    rows = CohortCall.objects.exclude(uid="")
    return Counter(rows.values_list("uid", "kind"))


def open_size_calls() -> list[tuple[str, int | None]]:
    rows = CohortCall.objects.filter(uid="", closed_at=None)
    return list(rows.values_list("kind", "size"))


def later(monkeypatch: Any, delay: timedelta) -> None:
    """Let the time of a look be later."""
    now = timezone.now() + delay
    monkeypatch.setattr("fleet.services.cohort_watch.timezone.now", lambda: now)


def test_each_device_that_enters_or_leaves_calls_once(fleet: Tagged) -> None:
    fleet.tag(0, 1)
    fleet.cohort(calls_each=True)

    assert fleet.look() == 0  # who is in it at first is no news
    fleet.tag(2, 3)
    fleet.untag(0)
    assert fleet.look() == 3
    assert fleet.look() == 0
    fleet.untag(2)
    Device.objects.filter(uid="d-1").delete()
    fleet.look()

    assert moves() == {
        ("d-2", "entered"): 1,
        ("d-3", "entered"): 1,
        ("d-0", "left"): 1,
        ("d-2", "left"): 1,
        ("d-1", "left"): 1,
    }


def test_another_query_or_switching_on_is_no_call_and_neither_is_another_name(
    fleet: Tagged,
) -> None:
    fleet.tag(0, 1)
    cohort = fleet.cohort()
    edit_cohort(cohort=cohort, calls_each=True)
    edit_cohort(cohort=cohort, query="NOT tag:cold", name="Warm")
    fleet.look()
    assert moves() == {}

    fleet.tag(2)
    edit_cohort(cohort=cohort, name="Still warm", description="x", calls_at=3)
    fleet.look()
    assert moves() == {("d-2", "left"): 1}  # a change of something else loses nothing

    edit_cohort(cohort=cohort, calls_each=False, calls_at=None)
    fleet.tag(3)
    fleet.look()
    assert moves() == {("d-2", "left"): 1}
    assert not CohortMember.objects.exists()
    assert not CohortWatch.objects.exists()


def test_a_first_look_waits_until_the_index_has_what_was_before_it(
    fleet: Tagged, monkeypatch: Any
) -> None:
    monkeypatch.setattr("fleet.services.cohort_watch.FIRST_LOOK_SECONDS", 0.0)
    cohort = fleet.cohort()
    fleet.tag(0, 1)  # not indexed yet, and before the cohort begins to call
    edit_cohort(cohort=cohort, calls_each=True)

    watch_cohorts_across_tenants()
    assert not CohortMember.objects.exists()
    fleet.look()
    fleet.tag(2)
    fleet.look()

    assert moves() == {("d-2", "entered"): 1}


def test_it_is_silent_while_blind_and_misses_nothing_afterwards(
    fleet: Tagged, settings: Any, tmp_path: Any
) -> None:
    fleet.tag(0)
    fleet.cohort(calls_each=True, calls_at=3)
    folder = settings.INDEX_DIR
    fleet.tag(1, 2)
    fleet.untag(0)
    while fleet.indexer.drain():
        pass

    settings.INDEX_DIR = tmp_path / "nowhere"
    away = watch_cohorts_across_tenants()
    settings.INDEX_DIR = folder
    request_rebuild()
    rebuilding = watch_cohorts_across_tenants()
    fleet.indexer.rebuild_if_requested()
    late = Outbox.objects.create(device_id=1, at=timezone.now() - timedelta(seconds=60))
    behind = watch_cohorts_across_tenants()
    late.delete()

    assert (away, rebuilding, behind, moves()) == (0, 0, 0, {})
    fleet.look()
    assert moves() == {("d-1", "entered"): 1, ("d-2", "entered"): 1, ("d-0", "left"): 1}


def test_a_query_that_is_no_longer_valid_calls_nobody_and_stops_no_other(
    fleet: Tagged,
) -> None:
    fleet.tag(0)
    wrong = fleet.cohort(name="wrong", calls_each=True)
    Cohort.objects.filter(pk=wrong.pk).update(query="attr.gone:x")
    fleet.cohort(calls_each=True)
    fleet.tag(1)

    assert fleet.look() == 1


def test_a_number_calls_when_it_is_crossed_and_closes_when_it_is_crossed_back(
    fleet: Tagged, monkeypatch: Any
) -> None:
    fleet.cohort(calls_at=2)
    fleet.tag(0)
    assert fleet.look() == 0

    fleet.tag(1, 2)
    assert fleet.look() == 1
    fleet.tag(3)
    assert fleet.look() == 0
    assert open_size_calls() == [("reached", 4)]

    # It wavers: still one call, and it says since when it is back.
    for _ in range(3):
        fleet.untag(1, 2, 3)
        fleet.look()
        assert CohortCall.objects.get().back_at is not None
        fleet.tag(1, 2, 3)
        fleet.look()
        assert CohortCall.objects.get().back_at is None

    fleet.untag(1, 2, 3)
    fleet.look()
    later(monkeypatch, SETTLE)
    fleet.look()
    assert open_size_calls() == []
    fleet.tag(1, 2)
    fleet.look()  # soon after: the same call is open again
    assert open_size_calls() == [("reached", 3)]
    assert CohortCall.objects.count() == 1
    fleet.untag(1, 2)
    fleet.look()
    later(monkeypatch, 2 * SETTLE)
    fleet.look()
    later(monkeypatch, 3 * SETTLE + SAME_CALL)
    fleet.tag(1, 2)
    fleet.look()  # long after: another one
    assert CohortCall.objects.count() == 2


def test_a_size_that_had_reached_its_number_calls_when_it_falls_below(
    fleet: Tagged,
) -> None:
    fleet.tag(0, 1, 2)
    cohort = fleet.cohort(calls_at=3)
    assert fleet.look() == 0

    fleet.untag(0)
    fleet.look()
    assert open_size_calls() == [("fell", 2)]
    assert CohortCall.objects.get().title == "“Cold” fell below 3 devices: 2 match"
    edit_cohort(cohort=cohort, calls_at=2)

    assert open_size_calls() == []
    fleet.untag(1)
    fleet.look()
    assert open_size_calls() == [("fell", 1)]


def test_a_number_that_a_person_closed_calls_again_only_when_crossed_again(
    fleet: Tagged,
) -> None:
    fleet.cohort(calls_at=1)
    fleet.tag(0)
    fleet.look()
    client = fleet.client()
    [item] = client.get("/api/v1/work-items/").json()["results"]
    client.post(f"/api/v1/work-items/{item['id']}/close/")

    fleet.tag(1)
    assert fleet.look() == 0
    fleet.untag(0, 1)
    fleet.look()
    fleet.tag(0)
    assert fleet.look() == 1


def test_the_queue_lists_the_calls_and_people_claim_and_close_them(
    fleet: Tagged,
) -> None:
    cohort = fleet.cohort(calls_at=2, calls_each=True)
    fleet.tag(0, 1)
    fleet.look()
    first, second = fleet.client(), fleet.client()
    viewer = fleet.client(Role.VIEWER)
    base = "/api/v1/work-items/"

    items = first.get(base).json()["results"]
    by_device = {item["device"]: item for item in items}
    path = f"{base}{by_device['d-0']['id']}/"
    claimed = first.post(f"{path}claim/").json()
    too_late = second.post(f"{path}claim/")
    mine = first.get(base, {"view": "mine"}).json()["results"]
    unassigned = second.get(base, {"view": "unassigned"}).json()["results"]
    forbidden = viewer.post(f"{path}release/")
    refused = second.post(f"{path}close/")
    closed = first.post(f"{path}close/").json()

    assert len(items) == 3
    assert {item["kind"] for item in items} == {"cohort"}
    for item in items:
        named = {"kind": "cohort", "id": str(cohort.public_id), "name": "Cold"}
        assert item["object"] == named
    assert by_device["d-0"]["title"] == "d-0 entered “Cold”"
    assert by_device[None]["title"] == "“Cold” reached 2 devices: 2 match"
    score = {device: row["urgency"]["score"] for device, row in by_device.items()}
    assert score[None] > score["d-0"]
    assert too_late.status_code == refused.status_code == 409
    assert too_late.json()["assignee"] == claimed["assignee"]
    assert [row["id"] for row in mine] == [by_device["d-0"]["id"]]
    assert len(unassigned) == 2
    assert forbidden.status_code == 403
    assert closed["closed_at"] is not None
    assert first.get(path).json() == closed
    assert len(first.get(base).json()["results"]) == 2
    assert first.get(base, {"view": "snoozed"}).json()["results"] == []
    assert first.get(base, {"view": "theirs"}).status_code == 400


def test_a_limited_member_sees_calls_for_their_own_devices_only(
    fleet: Tagged,
) -> None:
    fleet.cohort(calls_at=2, calls_each=True)
    there = SiteFactory.create(tenant=fleet.tenant)
    Device.objects.filter(uid="d-0").update(site=there)
    fleet.tag(0, 1, 2)
    fleet.look()

    seen = fleet.client(at=there).get("/api/v1/work-items/").json()["results"]

    assert [item["device"] for item in seen] == ["d-0"]


def test_a_limited_members_cohort_calls_for_the_whole_tenant(fleet: Tagged) -> None:
    there = SiteFactory.create(tenant=fleet.tenant)
    fleet.tag(0, 1)
    fleet.indexer.drain()
    body = {"name": "Cold", "query": "tag:cold", "calls_each": True}

    made = fleet.client(at=there).post("/api/v1/cohorts/", body, format="json")

    assert made.status_code == 201
    assert CohortMember.objects.count() == 2
    assert fleet.look() == 0


def test_more_moves_cost_no_more_queries(fleet: Tagged) -> None:
    fleet.cohort(calls_each=True, calls_at=5)
    costs = []
    for numbers in ((0,), (1, 2, 3, 4, 5)):
        fleet.tag(*numbers)
        while fleet.indexer.drain():
            pass
        with CaptureQueriesContext(connection) as captured:
            watch_cohorts_across_tenants()
        costs.append(len(captured))

    assert costs[1] <= costs[0] + 2  # and those of the number that is crossed


def test_a_deleted_cohort_takes_its_calls_along_and_old_ones_are_forgotten(
    fleet: Tagged,
) -> None:
    cohort = fleet.cohort(calls_each=True)
    fleet.tag(0, 1)
    fleet.look()
    CohortCall.objects.filter(uid="d-0").update(
        opened_at=timezone.now() - timedelta(days=91)
    )

    assert forget_calls_across_tenants(now=timezone.now()) == 1
    assert moves() == {("d-1", "entered"): 1}
    delete_cohort(cohort=cohort)
    assert not CohortCall.objects.exists()
