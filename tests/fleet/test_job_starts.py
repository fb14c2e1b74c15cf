"""An approved job starts only while its members still match the query."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from commands.models import Job, JobEvent
from commands.services.job_approvals import approve_job
from fleet.services.indexing import Indexer
from fleet.services.job_starts import compare_approved_across_tenants, start_job
from fleet.services.jobs import JobRequest, launch_job
from registry.models import Device
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet(indexer: Indexer) -> list[Device]:
    """Twenty devices with one name, indexed."""
    first: Device = DeviceFactory.create(name="pump")
    same = {"tenant": first.tenant, "site": first.site, "product": first.product}
    made = [first, *DeviceFactory.create_batch(19, name="pump", **same)]
    indexer.drain()
    return made


def approved(fleet: list[Device], **rollout: object) -> Job:
    request = JobRequest(
        tenant=fleet[0].tenant,
        name="identify the pumps",
        source={"query": "name:pump"},
        command={"name": "identify"},
        rollout={"approval": True, **rollout},
    )
    job, _ = launch_job(request, actor=None, idempotency_key=None)
    return approve_job(job=job, actor=None, reason="checked")


def rename(devices: list[Device], indexer: Indexer) -> None:
    ids = [device.pk for device in devices]
    Device.objects.filter(pk__in=ids).update(name="valve")
    indexer.drain()


def test_more_than_a_twentieth_that_no_longer_matches_asks_again(
    fleet: list[Device], indexer: Indexer
) -> None:
    job = approved(fleet)
    rename(fleet[:2], indexer)

    assert start_job(job=job, actor=None).status == "awaiting_approval"

    event = JobEvent.objects.filter(job=job).latest("pk")
    assert event.cause == (
        "an approval is asked again: 2 of 20 members no longer match the query (10%)"
    )


def test_a_twentieth_that_no_longer_matches_is_let_pass(
    fleet: list[Device], indexer: Indexer
) -> None:
    job = approved(fleet)
    rename(fleet[:1], indexer)

    assert start_job(job=job, actor=None).status == "running"


@pytest.mark.parametrize(("renamed", "status"), [(0, "scheduled"), (2, "awaiting")])
def test_a_scheduled_job_is_compared_when_its_time_comes(
    fleet: list[Device], indexer: Indexer, renamed: int, status: str
) -> None:
    start_at = timezone.now() + timedelta(hours=1)
    job = approved(fleet, start_at=start_at.isoformat())
    rename(fleet[:renamed], indexer)
    assert compare_approved_across_tenants(now=timezone.now()) == 0

    assert compare_approved_across_tenants(now=start_at) == 1
    assert compare_approved_across_tenants(now=start_at) == 0

    assert Job.objects.get(pk=job.pk).status.startswith(status)
