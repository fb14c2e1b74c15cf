"""What the database itself refuses of incidents."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from console.choices import IncidentStatus
from console.models import Incident, IncidentInterval
from tests.console.incidents import make_incident
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


def test_one_object_has_one_open_incident_of_a_cause() -> None:
    tenant = TenantFactory.create()
    resolved = {"status": IncidentStatus.RESOLVED, "resolved_at": timezone.now()}
    make_incident(tenant, **resolved)
    make_incident(tenant, **resolved)
    make_incident(tenant)

    with pytest.raises(IntegrityError), transaction.atomic():
        make_incident(tenant, status=IncidentStatus.SNOOZED)
    make_incident(TenantFactory.create())

    assert Incident.objects.count() == 4


def test_an_incident_has_one_running_clock() -> None:
    incident = make_incident(TenantFactory.create())
    clock = {"tenant": incident.tenant, "incident": incident}
    now = timezone.now()
    IncidentInterval.objects.create(**clock, from_at=now, until=now)
    IncidentInterval.objects.create(**clock, from_at=now)

    with pytest.raises(IntegrityError), transaction.atomic():
        IncidentInterval.objects.create(**clock, from_at=now)
