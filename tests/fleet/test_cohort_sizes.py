"""How many devices a cohort has is recorded over time, and never wrongly."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from fleet.models import Cohort, CohortSize, IndexState, Outbox
from fleet.services.cohort_sizes import (
    record_sizes_across_tenants,
    thin_sizes_across_tenants,
)
from fleet.services.indexing import Indexer, request_rebuild
from registry.models import Device, MembershipLimit
from tests.factories import DeviceFactory, MembershipFactory

pytestmark = pytest.mark.django_db


def make_cohort(device: Device, name: str = "all", query: str = "*") -> Cohort:
    return Cohort.objects.create(tenant=device.tenant, name=name, query=query)


def sizes_of(cohort: Cohort) -> list[int]:
    rows = CohortSize.objects.filter(cohort=cohort).order_by("at")
    return list(rows.values_list("size", flat=True))


def shown_to(member: Any, cohort: Cohort) -> list[dict[str, Any]]:
    client = APIClient()
    client.force_authenticate(member.user)
    one = client.get(f"/api/v1/cohorts/{cohort.public_id}/").json()["sizes"]
    [listed] = client.get("/api/v1/cohorts/").json()["results"]
    assert listed["sizes"] == one
    return list(one)


def test_a_size_is_recorded_each_time_and_shown_to_who_sees_the_tenant(
    indexer: Indexer,
) -> None:
    device = DeviceFactory.create()
    cohort = make_cohort(device)
    member = MembershipFactory.create(tenant=device.tenant)
    limited = MembershipFactory.create(tenant=device.tenant)
    MembershipLimit.objects.create(
        membership=limited, tenant=device.tenant, site=device.site
    )
    now = timezone.now()

    for minute in range(3):
        indexer.drain()
        record_sizes_across_tenants(now=now + timedelta(minutes=minute))
        DeviceFactory.create(tenant=device.tenant)

    shown = shown_to(member, cohort)
    assert [row["size"] for row in shown] == [1, 2, 3]
    assert datetime.fromisoformat(shown[1]["at"]) == now + timedelta(minutes=1)
    assert shown_to(limited, cohort) == []


def test_nothing_is_recorded_while_the_index_is_away_behind_or_wanted_anew(
    indexer: Indexer, settings: Any, tmp_path: Any
) -> None:
    cohort = make_cohort(DeviceFactory.create())
    now = timezone.now()
    indexer.drain()

    request_rebuild()
    record_sizes_across_tenants(now=now)
    IndexState.objects.update(rebuild_requested_at=None)
    waiting = Outbox.objects.create(device_id=1, at=now - timedelta(seconds=60))
    record_sizes_across_tenants(now=now)
    waiting.delete()
    folder, settings.INDEX_DIR = settings.INDEX_DIR, tmp_path / "nowhere"
    record_sizes_across_tenants(now=now)
    assert sizes_of(cohort) == []
    settings.INDEX_DIR = folder
    record_sizes_across_tenants(now=now)

    assert sizes_of(cohort) == [1]


def test_a_query_that_is_no_longer_valid_stops_no_other_cohort(
    indexer: Indexer,
) -> None:
    device = DeviceFactory.create()
    wrong = make_cohort(device, "wrong", "attr.gone:x")
    right = make_cohort(device, "right")
    indexer.drain()

    assert record_sizes_across_tenants(now=timezone.now()) == 1

    assert (sizes_of(wrong), sizes_of(right)) == ([], [1])


def test_more_devices_cost_no_more_queries(indexer: Indexer) -> None:
    device = DeviceFactory.create()
    make_cohort(device)
    costs = []
    for count in (0, 30):
        DeviceFactory.create_batch(count, tenant=device.tenant)
        indexer.drain()
        with CaptureQueriesContext(connection) as captured:
            record_sizes_across_tenants(now=timezone.now())
        costs.append(len(captured))

    assert costs[0] == costs[1] <= 12


def test_old_sizes_are_one_an_hour_and_very_old_ones_go(db: None) -> None:
    cohort = make_cohort(DeviceFactory.create())
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    minutes = [hour - timedelta(days=1, minutes=n) for n in range(-59, 61)]
    recent = [hour - timedelta(minutes=n) for n in (1, 2)]
    old = [hour - timedelta(days=91)]
    CohortSize.objects.bulk_create(
        CohortSize(tenant=cohort.tenant, cohort=cohort, at=at, size=number)
        for number, at in enumerate([*old, *minutes, *recent])
    )

    for _ in range(2):  # a second time changes nothing
        thin_sizes_across_tenants(now=hour)

    kept = CohortSize.objects.filter(cohort=cohort).order_by("at")
    assert list(kept.values_list("at", flat=True)) == [
        hour - timedelta(days=1, minutes=1),
        hour - timedelta(days=1, minutes=-59),
        *reversed(recent),
    ]
