"""Incidents and the SLA report in the console."""

from __future__ import annotations

from typing import Any

import pytest

from console.models import Incident
from registry.choices import Role
from tests.console.conftest import Fleet
from tests.console.incidents import make_incident
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


def test_the_queue_shows_incidents_by_urgency_and_acts_in_place(
    acme: Fleet, django_assert_max_num_queries: Any
) -> None:
    small = make_incident(acme.tenant, object_id="d-1", title="d-1 is lost")
    make_incident(
        acme.tenant, object_id="d-2", title="The hall is lost", severity="critical"
    )
    client = acme.client(Role.OPERATOR)
    client.get("/queue/")

    with django_assert_max_num_queries(14):
        page = client.get("/queue/").content.decode()
    assert page.index("The hall is lost") < page.index("d-1 is lost")
    assert "its severity is critical" in page
    path = f"/incidents/{small.public_id}/"
    claimed = client.post(f"{path}claim/", {"from_queue": "1"}, follow=True)
    client.post(f"{path}snooze/", {"for": "4"})

    assert "is yours" in claimed.content.decode()
    assert "d-1 is lost" not in client.get("/queue/").content.decode()
    assert "d-1 is lost" in client.get("/queue/?view=snoozed").content.decode()
    viewer = acme.client(Role.VIEWER)
    assert "Claim" not in viewer.get("/queue/").content.decode()
    assert viewer.post(f"{path}claim/").status_code == 403


def test_an_incident_page_says_what_to_do_and_what_happened(acme: Fleet) -> None:
    incident = make_incident(acme.tenant, title="d-1 does not answer")
    other = make_incident(acme.tenant, object_id="d-2", title="d-2 does not answer")
    first, second = acme.client(Role.OPERATOR), acme.client(Role.OPERATOR)
    path = f"/incidents/{incident.public_id}/"

    page = first.get(path).content.decode()
    assert "Ask the site whether the device has power" in page
    assert "Nothing stands out" in page
    first.post(f"{path}claim/")
    beaten = second.post(f"{path}resolve/", follow=True).content.decode()
    first.post(f"{path}note/", {"text": "A fuse is blown."})
    first.post(f"{path}merge/", {"into": str(other.public_id)})
    page = first.get(path).content.decode()

    assert "has claimed it" in beaten
    assert "A fuse is blown." in page
    assert f'part of <a class="link" href="/incidents/{other.public_id}/">' in page
    assert Incident.objects.get(pk=incident.pk).status == "resolved"
    first.post(f"{path}reopen/")
    assert Incident.objects.get(pk=incident.pk).status == "acknowledged"
    bad = first.post(f"{path}assign/", {"assignee": "nobody"}, follow=True)
    assert "There is no such member." in bad.content.decode()
    assert first.post(f"{path}explode/").status_code == 404
    foreign = make_incident(TenantFactory.create())
    assert first.get(f"/incidents/{foreign.public_id}/").status_code == 404


def test_the_list_is_narrowed_and_ranked(acme: Fleet) -> None:
    make_incident(acme.tenant, object_id="d-1", title="drifting", cause="drift")
    make_incident(
        acme.tenant, object_id="d-2", title="lost", resolved_at=None, severity="info"
    )
    client = acme.client()

    page = client.get("/incidents/").content.decode()
    drift = client.get("/incidents/?cause=drift&severity=warning").content.decode()
    resolved = client.get("/incidents/?show=resolved").content.decode()

    assert "2 open incidents" in page
    assert page.index("drifting") < page.index("lost</a>")
    assert "lost</a>" not in drift
    assert "drifting" in drift
    assert "Nothing was resolved yet" in resolved


def test_the_sla_report_is_a_page_and_a_file(acme: Fleet) -> None:
    client = acme.client()

    page = client.get("/reports/sla/?days=1").content.decode()
    file = client.get("/reports/sla/?days=1&format=csv")

    assert "Availability" in page
    assert "the causes add up" in page
    assert file["Content-Type"].startswith("text/csv")
    assert file.content.decode().startswith("tenant,site,active_minutes")
