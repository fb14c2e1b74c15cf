"""SLA policies, and what is due of open incidents."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.models import IncidentInterval
from registry.choices import Role
from tests.console.incidents import make_incident
from tests.console.test_incident_api import client_of
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db
POLICIES = "/api/v1/sla-policies/"


def test_a_severity_has_one_policy_and_open_incidents_follow_it() -> None:
    tenant = TenantFactory.create()
    incident = make_incident(tenant)
    IncidentInterval.objects.create(
        incident=incident, tenant=tenant, from_at=incident.first_evidence_at
    )
    client = client_of(tenant, Role.MANAGER)
    body = {"severity": "warning", "acknowledge_minutes": 10, "resolve_minutes": 60}

    made = client.post(POLICIES, body, format="json")
    again = client.post(POLICIES, body, format="json")
    other = client.post(POLICIES, body | {"severity": "critical"}, format="json")
    path = f"{POLICIES}{made.json()['id']}/"
    clash = client.patch(path, {"severity": "critical"}, format="json")

    assert (made.status_code, again.status_code, clash.status_code) == (201, 409, 409)
    assert other.status_code == 201
    assert {name: made.json()[name] for name in body} == body
    incident.refresh_from_db()
    begin = incident.first_evidence_at
    assert incident.acknowledge_due_at == begin + timedelta(minutes=10)
    client.patch(path, {"resolve_minutes": 90}, format="json")
    incident.refresh_from_db()
    assert incident.resolve_due_at == begin + timedelta(minutes=90)
    assert client.delete(path).status_code == 204
    incident.refresh_from_db()
    assert incident.resolve_due_at is None
    bad = client.post(POLICIES, body | {"resolve_minutes": 0}, format="json")
    assert bad.json()["errors"][0]["field"] == "resolve_minutes"
    viewer = client_of(tenant, Role.OPERATOR).post(POLICIES, body, format="json")
    assert viewer.status_code == 403
