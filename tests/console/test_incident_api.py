"""Incidents over REST: what is shown, and what people do with them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from console.models import Incident, IncidentMember
from console.services.incidents.sweep import sweep_incidents_across_tenants
from registry.choices import Role
from registry.models import MembershipLimit, Site, Tenant
from state.choices import Severity
from tests.console.incidents import come_online, fall_silent, make_incident
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
)

pytestmark = pytest.mark.django_db
INCIDENTS = "/api/v1/incidents/"


def client_of(
    tenant: Tenant, role: Role = Role.OPERATOR, *, at: Site | None = None
) -> APIClient:
    member = MembershipFactory.create(tenant=tenant, role=role)
    if at is not None:
        MembershipLimit.objects.create(membership=member, tenant=tenant, site=at)
    client = APIClient()
    client.force_authenticate(member.user)
    client.name = member.user.username  # type: ignore[attr-defined]
    return client


def outage(*, count: int = 6, slug: str = "hall") -> Incident:
    """Return the incident of a site whose devices are all lost."""
    site = SiteFactory.create(slug=slug, name="Hall")
    product = ProductFactory.create(tenant=site.tenant)
    given = {"tenant": site.tenant, "site": site, "product": product}
    devices = [DeviceFactory.create(**given) for _ in range(count)]
    elsewhere = SiteFactory.create(tenant=site.tenant)
    others = [DeviceFactory.create(**given | {"site": elsewhere}) for _ in range(20)]
    now = timezone.now()
    come_online(others, at=now)
    fall_silent(devices, at=now - timedelta(minutes=2))
    sweep_incidents_across_tenants(now=now)
    return Incident.objects.get(tenant=site.tenant)


def path_of(incident: Incident, action: str = "") -> str:
    return f"{INCIDENTS}{incident.public_id}/{action and action + '/'}"


def test_an_incident_shows_what_it_is_about_and_why() -> None:
    incident = outage()
    client = client_of(incident.tenant)

    found = client.get(path_of(incident)).json()

    assert found["object"] == {"kind": "site", "id": "hall", "name": "Hall"}
    assert (found["cause"], found["severity"]) == ("site", "critical")
    assert (found["status"], found["regressed"]) == ("open", False)
    assert found["number"] == 1
    assert found["devices"]["count"] == 6
    members = IncidentMember.objects.values_list("device__uid", flat=True)
    assert all(f'"{uid}"' in found["devices"]["query"] for uid in members)
    assert found["alarms"] == {"count": 0}
    assert found["diagnosis"]["verdict"] == "network"
    assert found["advice"]["step"] == "ask_site"
    assert found["changes"] == []
    assert [event["kind"] for event in found["events"]] == ["opened"]
    assert found["events"][0]["actor"] is None
    assert (found["assignee"], found["resolved_at"]) == (None, None)
    assert found["acknowledge_due_at"] is None


def test_the_list_is_filtered_and_costs_no_query_an_incident() -> None:
    tenant = TenantFactory.create()
    client = client_of(tenant)
    client.get(INCIDENTS)
    costs = []
    for count in (1, 5):
        for number in range(count):
            make_incident(tenant, object_id=f"d-{count}-{number}")
        with CaptureQueriesContext(connection) as captured:
            assert client.get(INCIDENTS).status_code == 200
        costs.append(len(captured))
    make_incident(tenant, cause="drift", severity="critical")

    def found(**asked: Any) -> int:
        return len(client.get(INCIDENTS, asked).json()["results"])

    assert costs[0] == costs[1]
    assert found() == 7
    assert found(cause="drift") == found(severity="critical") == 1
    assert found(status="open") == 7
    assert found(status="resolved") == found(assignee="nobody") == 0
    for wrong in ({"cause": "x"}, {"status": "x"}, {"x": "1"}, {"cursor": "x"}):
        assert client.get(INCIDENTS, wrong).status_code == 400


def test_of_two_people_one_is_first_and_the_other_learns_who() -> None:
    incident = outage()
    first, second = client_of(incident.tenant), client_of(incident.tenant)

    claimed = first.post(path_of(incident, "claim"))
    again = first.post(path_of(incident, "claim"))
    too_late = second.post(path_of(incident, "claim"))
    snoozed = second.post(
        path_of(incident, "snooze"), {"until": "2100-01-01T00:00:00Z"}, format="json"
    )
    resolved = second.post(path_of(incident, "resolve"), {}, format="json")

    assert claimed.status_code == again.status_code == 200
    assert claimed.json()["assignee"] == first.name  # type: ignore[attr-defined]
    assert claimed.json()["status"] == "acknowledged"
    for refused in (too_late, snoozed, resolved):
        assert refused.status_code == 409
        assert refused.json()["assignee"] == first.name  # type: ignore[attr-defined]
        assert refused.json()["incident"]["status"] == "acknowledged"
    released = second.post(path_of(incident, "release"))
    assert released.json()["assignee"] is None
    assert second.post(path_of(incident, "claim")).status_code == 200


def test_a_claim_of_which_nothing_comes_lapses() -> None:
    incident = outage()
    client = client_of(incident.tenant)
    client.post(path_of(incident, "claim"))
    begin = timezone.now()

    sweep_incidents_across_tenants(now=begin + timedelta(minutes=29))
    assert client.get(path_of(incident)).json()["assignee"] is not None
    sweep_incidents_across_tenants(now=begin + timedelta(minutes=31))

    found = client.get(path_of(incident)).json()
    assert found["assignee"] is None
    assert found["events"][-1]["kind"] == "released"


def test_acknowledging_twice_is_harmless_and_by_another_person_refused() -> None:
    incident = outage()
    first, second = client_of(incident.tenant), client_of(incident.tenant)

    done = first.post(path_of(incident, "acknowledge")).json()

    again = first.post(path_of(incident, "acknowledge")).json()
    assert done["acknowledged_at"] is not None
    assert (again["acknowledged_at"], again["events"]) == (
        done["acknowledged_at"],
        done["events"],
    )
    assert second.post(path_of(incident, "acknowledge")).status_code == 409


def test_an_incident_is_assigned_to_a_member_who_may_operate() -> None:
    incident = outage()
    client = client_of(incident.tenant)
    other = client_of(incident.tenant)
    viewer = client_of(incident.tenant, Role.VIEWER)

    def assign(name: str) -> Any:
        body = {"assignee": name}
        return client.post(path_of(incident, "assign"), body, format="json")

    assert assign("nobody").json()["errors"][0]["field"] == "assignee"
    assert assign(viewer.name).status_code == 400  # type: ignore[attr-defined]
    assert assign(other.name).json()["assignee"] == other.name  # type: ignore[attr-defined]
    assert viewer.post(path_of(incident, "claim")).status_code == 403


def test_a_snoozed_incident_leaves_the_queue_until_its_time() -> None:
    incident = outage()
    client = client_of(incident.tenant)
    until = timezone.now() + timedelta(hours=2)
    snooze = path_of(incident, "snooze")

    past = client.post(snooze, {"until": "2020-01-01T00:00:00Z"}, format="json")
    done = client.post(snooze, {"until": until.isoformat()}, format="json")

    assert past.status_code == 400
    assert past.json()["errors"][0]["field"] == "until"
    assert done.json()["status"] == "snoozed"
    items = "/api/v1/work-items/"
    assert client.get(items).json()["results"] == []
    [item] = client.get(items, {"view": "snoozed"}).json()["results"]
    assert item["id"] == str(incident.public_id)
    sweep_incidents_across_tenants(now=until + timedelta(seconds=1))
    [item] = client.get(items).json()["results"]
    assert item["kind"] == "incident"


def test_pages_of_equally_urgent_items_lead_back_to_the_same_items() -> None:
    tenant = TenantFactory.create()
    for number in range(5):
        make_incident(tenant, object_id=f"dev-{number}")
    make_incident(tenant, object_id="hot", severity=Severity.CRITICAL)
    client, path, forward = client_of(tenant), "/api/v1/work-items/?limit=2", []

    while path:
        forward.append(page := client.get(path).json())
        path = page["next"]

    found = [[item["object"]["id"] for item in page["results"]] for page in forward]
    assert found == [["hot", "dev-0"], ["dev-1", "dev-2"], ["dev-3", "dev-4"]]
    for earlier, page in pairwise(forward):
        back = client.get(page["previous"]).json()
        assert back["results"] == earlier["results"]
        assert client.get(back["next"]).json()["results"] == page["results"]


def test_what_a_person_resolves_comes_back_only_with_new_evidence() -> None:
    incident = outage()
    client = client_of(incident.tenant)
    body = {"cause": "power", "text": "A fuse."}

    done = client.post(path_of(incident, "resolve"), body, format="json").json()
    sweep_incidents_across_tenants(now=timezone.now())

    assert done["status"] == "resolved"
    assert done["events"][-1]["text"] == "power: A fuse."
    assert client.post(path_of(incident, "claim")).status_code == 409
    assert client.get(path_of(incident)).json()["status"] == "resolved"
    note = client.post(path_of(incident, "note"), {"text": "x"}, format="json")
    assert note.json()["events"][-1]["text"] == "x"
    members = IncidentMember.objects.filter(incident=incident).select_related("device")
    fall_silent(
        [row.device for row in members], at=timezone.now() + timedelta(minutes=1)
    )
    sweep_incidents_across_tenants(now=timezone.now() + timedelta(minutes=3))
    found = client.get(path_of(incident)).json()
    assert (found["status"], found["regressed"]) == ("open", True)


def test_a_reopened_incident_stays_until_a_person_resolves_it() -> None:
    incident = make_incident(TenantFactory.create())
    client = client_of(incident.tenant)
    assert client.post(path_of(incident, "reopen")).status_code == 409
    client.post(path_of(incident, "resolve"), {}, format="json")

    done = client.post(path_of(incident, "reopen")).json()
    for minutes in (1, 2, 3):
        sweep_incidents_across_tenants(now=timezone.now() + timedelta(minutes=minutes))

    assert (done["status"], done["resolved_at"]) == ("acknowledged", None)
    assert client.get(path_of(incident)).json()["resolved_at"] is None


def test_a_merged_incident_names_the_other_which_takes_its_devices() -> None:
    incident = outage()
    other = make_incident(incident.tenant, is_held_open=True)
    client = client_of(incident.tenant)
    foreign = make_incident(TenantFactory.create())

    def merge(into: Incident) -> Any:
        body = {"into": str(into.public_id)}
        return client.post(path_of(incident, "merge"), body, format="json")

    assert merge(incident).status_code == 400
    assert merge(foreign).json()["errors"][0]["field"] == "into"
    done = merge(other).json()
    sweep_incidents_across_tenants(now=timezone.now())

    assert (done["status"], done["absorbed_by"]) == ("resolved", str(other.public_id))
    assert f"#{other.number}" in done["events"][-1]["text"]
    assert client.get(path_of(other)).json()["devices"]["count"] == 6
    assert Incident.objects.filter(tenant=incident.tenant).count() == 2


def test_a_limited_member_sees_incidents_of_their_own_devices() -> None:
    incident = outage()
    elsewhere = SiteFactory.create(tenant=incident.tenant)
    here = Site.objects.get(slug="hall")

    seen = client_of(incident.tenant, at=here).get(INCIDENTS).json()["results"]
    unseen = client_of(incident.tenant, at=elsewhere).get(INCIDENTS).json()["results"]

    assert [row["id"] for row in seen] == [str(incident.public_id)]
    assert unseen == []
    foreign = client_of(TenantFactory.create())
    assert foreign.get(path_of(incident)).status_code == 404
