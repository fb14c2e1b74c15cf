"""REST API: the shapes of the contract, and permissions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from fleet.models import Cohort
from fleet.services.indexing import Indexer
from registry.choices import Role
from registry.models import Device, Membership
from tests.factories import DeviceFactory, MembershipFactory

pytestmark = pytest.mark.django_db
BASE = "/api/v1"


class Caller:
    """A member of one tenant, at the API."""

    def __init__(self, role: Role, device: Device) -> None:
        membership: Membership = MembershipFactory.create(
            tenant=device.tenant, role=role
        )
        self.user = membership.user
        self.client = APIClient()
        self.client.force_authenticate(self.user)

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = self.client.get(f"{BASE}/{path}", query)
        assert answer.status_code == status, answer.content
        return answer.json()

    def send(self, method: str, path: str, body: Any, status: int) -> Any:
        call = getattr(self.client, method)
        answer = call(f"{BASE}/{path}", body, format="json")
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None


@pytest.fixture
def device(indexer: Indexer) -> Device:
    """An indexed device."""
    made: Device = DeviceFactory.create(name="Cold store")
    indexer.drain()
    return made


@pytest.fixture
def operator(device: Device) -> Caller:
    """An operator of the device's tenant."""
    return Caller(Role.OPERATOR, device)


@pytest.fixture
def stranger(indexer: Indexer) -> Caller:
    """A manager of another tenant."""
    return Caller(Role.MANAGER, DeviceFactory.create())


def test_a_typo_is_answered_with_its_place_and_the_word_to_put_in(
    operator: Caller,
) -> None:
    answer = operator.get("fleet/search/", status=400, q="NOT connectivity:onlin")

    [error] = answer["errors"]
    assert (error["field"], error["position"]) == ("q", 17)
    assert error["did_you_mean"] == "online"


def test_the_declared_keys_are_read_once_in_a_request(operator: Caller) -> None:
    with CaptureQueriesContext(connection) as captured:
        operator.get(
            "fleet/search/",
            q="metric.temperature:>1 OR metric.temperature:<0",
            facets="metric.temperature",
        )

    reads = [row for row in captured.captured_queries if "reported_keys" in row["sql"]]
    assert len(reads) == 1


def test_a_search_answer_has_the_shape_of_the_contract(
    operator: Caller, device: Device
) -> None:
    answer = operator.get("fleet/search/", q='name:"cold store"', facets="region,site")

    assert set(answer) == {"total", "index_lag_seconds", "results", "facets", "next"}
    assert answer["total"] == 1
    assert answer["next"] is None
    assert answer["results"][0]["uid"] == device.uid
    assert answer["facets"]["region"] == [{"value": "East China", "count": 1}]


def test_next_is_the_absolute_address_of_the_next_page(
    operator: Caller, device: Device, indexer: Indexer
) -> None:
    DeviceFactory.create(tenant=device.tenant)
    indexer.drain()

    first = operator.get("fleet/search/", q="*", limit=1)
    second = operator.client.get(first["next"]).json()

    assert first["next"].startswith("http://")
    assert first["total"] == second["total"] == 2
    assert first["results"][0]["uid"] != second["results"][0]["uid"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "position", "meant"),
    [("regin:x", 0, "region"), ("name:x AND ", 10, None), ("", 0, None)],
)
def test_an_invalid_query_is_refused_with_its_position(
    operator: Caller, query: str, position: int, meant: str | None
) -> None:
    answer = operator.client.get(f"{BASE}/fleet/search/", {"q": query})

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["position"] == position
    assert error["did_you_mean"] == meant


def test_a_search_without_a_query_or_with_a_wrong_limit_is_refused(
    operator: Caller,
) -> None:
    assert operator.get("fleet/search/", 400)["errors"][0]["field"] == "q"
    errors = operator.get("fleet/search/", 400, q="*", limit="5000")["errors"]
    assert errors[0]["field"] == "limit"


def test_while_there_is_no_index_a_search_is_unavailable(index_dir: Path) -> None:
    caller = Caller(Role.VIEWER, DeviceFactory.create())

    answer = caller.get("fleet/search/", 503, q="*")

    assert "being built" in answer["detail"]


def test_the_fields_are_listed_with_kind_and_abilities(operator: Caller) -> None:
    fields = {row["name"]: row for row in operator.get("fleet/fields/")["results"]}

    assert fields["firmware"]["kind"] == "version"
    assert fields["tags"]["aliases"] == ["tag"]
    assert not fields["attr"]["sorts"]


def test_each_field_says_how_its_values_are_known(operator: Caller) -> None:
    fields = {row["name"]: row for row in operator.get("fleet/fields/")["results"]}

    known = {name: fields[name]["known_by"] for name in ("site", "firmware", "risk")}
    assert known == {"site": "fact", "firmware": "reported", "risk": "judged"}
    judged = [row for row in fields.values() if row["known_by"] == "judged"]
    assert all(row["rule"] for row in judged)


def test_a_cohort_is_saved_changed_frozen_and_deleted(
    operator: Caller, device: Device
) -> None:
    wanted = {"name": "all", "query": "*"}
    cohort = operator.send("post", "cohorts/", wanted, 201)
    snapshot = operator.send("post", f"cohorts/{cohort['id']}/snapshot/", None, 201)
    path = f"cohorts/{cohort['id']}/"
    changed = operator.send("patch", path, {"query": "uid:none"}, 200)
    empty = operator.send("post", f"{path}snapshot/", None, 201)
    operator.send("delete", path, None, 204)

    assert cohort["tenant"] == device.tenant.slug
    assert cohort["created_by"] == cohort["owner"] == operator.user.username
    assert cohort["description"] == ""
    assert snapshot["size"] == 1
    assert len(snapshot["target_hash"]) == 64
    assert changed["query"] == "uid:none"
    assert empty["size"] == 0
    members = operator.get(f"snapshots/{snapshot['id']}/members/")
    assert members["results"] == [{"device": device.uid}]
    assert operator.get(f"snapshots/{snapshot['id']}/")["cohort"] is None
    operator.get(path, 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "query": "regin:y"}, "query"),
        ({"name": "x", "query": ""}, "query"),
        ({"name": " ", "query": "*"}, "name"),
        ({"name": "taken", "query": "*"}, "name"),
        ({"query": "*"}, "name"),
        ({"name": "x", "query": "*", "colour": "red"}, "colour"),
        ({"name": "x", "query": "*", "owner": "nobody"}, "owner"),
        ({"name": "x", "query": "*", "description": "d" * 2_001}, "description"),
        ({"name": "x", "query": "*", "tenant": "nobody"}, "tenant"),
    ],
)
def test_an_invalid_cohort_is_refused_with_its_field(
    operator: Caller, body: dict[str, str], field: str
) -> None:
    operator.send("post", "cohorts/", {"name": "taken", "query": "*"}, 201)

    answer = operator.send("post", "cohorts/", body, 400)

    assert [error["field"] for error in answer["errors"]] == [field]
    assert Cohort.objects.count() == 1


def test_a_cohort_is_handed_over_to_a_member_with_a_description(
    operator: Caller, stranger: Caller, device: Device
) -> None:
    heir = Caller(Role.VIEWER, device)
    cohort = operator.send("post", "cohorts/", {"name": "all", "query": "*"}, 201)
    path = f"cohorts/{cohort['id']}/"

    changed = operator.send(
        "patch", path, {"owner": heir.user.username, "description": " Cold. "}, 200
    )
    refused = operator.send("patch", path, {"owner": stranger.user.username}, 400)
    heir.user.delete()

    assert (changed["owner"], changed["description"]) == (heir.user.username, "Cold.")
    assert changed["created_by"] == operator.user.username
    assert refused["errors"][0]["field"] == "owner"
    assert operator.get(path)["owner"] is None


def test_objects_of_another_tenant_are_not_found(
    operator: Caller, stranger: Caller
) -> None:
    cohort = operator.send("post", "cohorts/", {"name": "all", "query": "*"}, 201)
    path = f"cohorts/{cohort['id']}/"
    snapshot = operator.send("post", f"{path}snapshot/", None, 201)

    assert stranger.get("cohorts/")["results"] == []
    stranger.get(path, 404)
    stranger.send("patch", path, {"name": "mine"}, 404)
    stranger.send("delete", path, None, 404)
    stranger.send("post", f"{path}snapshot/", None, 404)
    stranger.get(f"snapshots/{snapshot['id']}/", 404)
    stranger.get(f"snapshots/{snapshot['id']}/members/", 404)
    stranger.get("snapshots/nonsense/", 404)
    stranger.get("fleet/search/", 404, q="*", tenant=cohort["tenant"])


def test_two_snapshots_are_listed_and_compared(
    operator: Caller, stranger: Caller, device: Device, indexer: Indexer
) -> None:
    ids = {}
    for name in ("mine", "other"):
        made = operator.send("post", "cohorts/", {"name": name, "query": "*"}, 201)
        ids[name] = made["id"]
    leaver = DeviceFactory.create(tenant=device.tenant, uid="leaver")
    indexer.drain()
    path = f"cohorts/{ids['mine']}/snapshot/"
    before = operator.send("post", path, None, 201)["id"]
    leaver.delete()
    for uid in ("joiner-b", "joiner-a"):
        DeviceFactory.create(tenant=device.tenant, uid=uid)
    indexer.drain()
    after = operator.send("post", path, None, 201)["id"]
    operator.send("post", f"cohorts/{ids['other']}/snapshot/", None, 201)

    listed = operator.get("snapshots/", cohort=ids["mine"], limit=1)
    second = operator.client.get(listed["next"]).json()
    changed = operator.get(f"snapshots/{before}/difference/", to=after)
    back = operator.get(f"snapshots/{after}/difference/", to=before)

    assert [row["id"] for row in listed["results"] + second["results"]] == [
        before,
        after,
    ]
    assert second["next"] is None
    assert len(operator.get("snapshots/")["results"]) == 3
    assert changed == {"gone": ["leaver"], "added": ["joiner-a", "joiner-b"], "kept": 1}
    assert back == {"gone": changed["added"], "added": changed["gone"], "kept": 1}
    assert stranger.get("snapshots/")["results"] == []
    stranger.get(f"snapshots/{before}/difference/", 404, to=after)
    operator.get(f"snapshots/{before}/difference/", 404, to=ids["mine"])
    for wrong in ({}, {"to": ""}, {"too": after}):
        operator.get(f"snapshots/{before}/difference/", 400, **wrong)


def test_a_viewer_can_read_but_not_change(operator: Caller, device: Device) -> None:
    cohort = operator.send("post", "cohorts/", {"name": "all", "query": "*"}, 201)
    viewer = Caller(Role.VIEWER, device)
    path = f"cohorts/{cohort['id']}/"

    assert viewer.get("fleet/search/", q="*")["total"] == 1
    viewer.get(path)
    viewer.send("post", "cohorts/", {"name": "mine", "query": "*"}, 403)
    viewer.send("patch", path, {"name": "mine"}, 403)
    viewer.send("delete", path, None, 403)
    viewer.send("post", f"{path}snapshot/", None, 403)


def test_a_search_without_signing_in_is_refused(device: Device) -> None:
    answer = APIClient().get(f"{BASE}/fleet/search/", {"q": "*"})

    assert answer.status_code in (401, 403)
