"""An update of firmware leaves out whom it is not for, and says why."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from commands.exceptions import InvalidCommand
from commands.models import Command, Job, JobTarget
from commands.services.jobs import start_job
from registry.models import HardwareRevision, Product
from registry.services.firmware import create_release
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import Unit, deliver, now, sweep
from tests.factories import HardwareRevisionFactory, ProductFactory

pytestmark = pytest.mark.django_db


def update(units: list[Unit], version: str = "1.10") -> Job:
    command = {"name": "update_firmware", "params": {"version": version}}
    return make_job(units, command=command)


def reasons_of(job: Job) -> dict[int, str]:
    return dict(JobTarget.objects.filter(job=job).values_list("device", "skip_reason"))


def release(product: Product, *revisions: HardwareRevision) -> None:
    create_release(
        tenant=product.tenant,
        version="1.10",
        file=ContentFile(b"code", name="fw.bin"),
        products=[product],
        hardware_revisions=revisions,
    )


def test_downgrades_and_who_has_it_already_are_left_out() -> None:
    units = fleet_of(5)
    for unit, version in zip(units, ["1.9", "1.10", "v1.10.0", "1.11"], strict=False):
        unit.report(1, {"firmware": version})

    job = update(units)

    assert reasons_of(job) == {
        units[0].device.pk: "",
        units[1].device.pk: "reports firmware 1.10 already",
        units[2].device.pk: "reports firmware v1.10.0 already",
        units[3].device.pk: "would be a downgrade: reports firmware 1.11",
        units[4].device.pk: "",  # it has reported none
    }


def test_other_products_and_revisions_are_left_out(
    settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    units = fleet_of(3)
    product = units[0].device.product
    right, wrong = HardwareRevisionFactory.create_batch(
        2, tenant=product.tenant, product=product
    )
    other = ProductFactory.create(tenant=product.tenant)
    for unit, revision in zip(units, [right, wrong, None], strict=True):
        unit.device.hardware_revision = revision
    units[2].device.product = other
    for unit in units:
        unit.device.save()
    release(product, right)

    job = update(units)

    assert reasons_of(job) == {
        units[0].device.pk: "",
        units[1].device.pk: "firmware 1.10 is not for its hardware revision",
        units[2].device.pk: "firmware 1.10 is not for its product",
    }


def test_a_job_that_would_update_nobody_is_refused() -> None:
    units = fleet_of(2)
    for unit in units:
        unit.report(1, {"firmware": "1.10"})

    with pytest.raises(InvalidCommand):
        update(units)


def test_a_device_that_comes_back_on_the_old_version_is_unverified() -> None:
    units = fleet_of(1)
    units[0].report(1, {"firmware": "1.9"})
    job = update(units)
    start_job(job=job, actor=None)
    tick()
    deliver()
    command = Command.objects.get(job=job)
    units[0].result(command)
    units[0].say("status", {"status": "online", "session": "after"})
    units[0].report(2, {"firmware": "1.9"})

    sweep(now() + timedelta(hours=1))

    command.refresh_from_db()

    assert (command.status, command.failure_class) == ("failed", "unverified")
