"""The evidence of incidents is read every few seconds, also of a large fleet."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from state.models import Presence, Twin
from state.selectors import incident_evidence
from tests.factories import DeviceFactory


@pytest.mark.django_db
def test_the_evidence_of_incidents_is_found_by_indexes_of_troubled_devices() -> None:
    devices = DeviceFactory.create_batch(300)
    Presence.objects.bulk_create(
        Presence(
            device=device,
            tenant=device.tenant,
            connectivity="online",
            cause="",
            since=timezone.now(),
        )
        for device in devices
    )
    Twin.objects.bulk_create(
        Twin(device=device, tenant=device.tenant) for device in devices
    )

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE state_presence, state_twin, registry_device")
        statement = f"EXPLAIN {incident_evidence._EVIDENCE}"
        cursor.execute(statement, [timezone.now(), 50])
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "state_presence_troubled" in plan
    assert "state_twin_drifting" in plan
