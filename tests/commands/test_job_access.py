"""Who keeps control of a job when its members move."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from commands.models import JobTarget
from commands.services.device_transfer import transfer_device
from commands.services.jobs import start_job
from registry.models import Device, MembershipLimit
from registry.services.transfer import Destination
from tests.commands.test_job_api import JOBS
from tests.commands.test_jobs import (
    again,
    answer,
    commands_of,
    fleet_of,
    make_job,
    tick,
)
from tests.factories import MembershipFactory, ProductFactory, SiteFactory

pytestmark = pytest.mark.django_db


def test_the_creator_keeps_a_job_whose_member_moved_to_another_site() -> None:
    units = fleet_of(2)
    tenant, site = units[0].device.tenant, units[0].device.site
    member = MembershipFactory.create(tenant=tenant, role="operator")
    other = MembershipFactory.create(tenant=tenant, role="operator")
    for each in (member, other):
        MembershipLimit.objects.create(tenant=tenant, membership=each, site=site)
    job = make_job(units, actor=member.user)
    start_job(job=job, actor=None)
    elsewhere = SiteFactory.create(tenant=tenant)
    type(units[0].device).objects.filter(pk=units[0].device.pk).update(site=elsewhere)

    def call(user: Any, path: str, method: str = "get") -> Any:
        client = APIClient()
        client.force_authenticate(user)
        return getattr(client, method)(f"{JOBS}{job.public_id}/{path}")

    members = call(member.user, "targets/").json()["results"]

    assert call(other.user, "").status_code == 404
    assert [row["device"] for row in members] == [units[1].device.uid]
    assert call(member.user, "cancel/", "post").json()["status"] == "cancelled"


def test_a_member_that_leaves_the_tenant_is_closed_with_that_reason() -> None:
    units = fleet_of(2)
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()
    device: Device = units[0].device
    site = SiteFactory.create()
    product = ProductFactory.create(tenant=site.tenant)
    to = Destination(tenant=site.tenant, site=site, product=product)

    transfer_device(device=device, to=to, reason="sold", actor=None)
    answer(units[1:], job)
    tick()
    tick()

    left = JobTarget.objects.get(job=job, device=device)
    assert left.skip_reason == "the device was transferred to another tenant"
    assert sorted(c.status for c in commands_of(job)) == ["cancelled", "succeeded"]
    assert again(job).status == "completed"
