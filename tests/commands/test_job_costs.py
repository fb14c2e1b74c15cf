"""A planned job's cost comes from the jobs and the releases of its own tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from commands.rollouts import DEFAULTS
from commands.selectors.job_costs import estimate_cost
from commands.services.jobs import start_job
from registry.services.firmware import create_release
from tests.commands.test_jobs import again, answer, fleet_of, make_job, tick
from tests.commands.units import Unit
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


def cost_of(units: list[Unit], name: str = "reboot", **changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "params": {},
        "waves": [1, len(units) - 1],
        "rollout": DEFAULTS,
        "seed": "hash",
    }
    ids = [unit.device.pk for unit in units]
    return estimate_cost(
        *(units[0].device.tenant, ids), command_name=name, **(arguments | changes)
    )


def test_the_time_comes_from_completed_jobs_of_the_same_command() -> None:
    units = fleet_of(3)
    assert cost_of(units)["seconds"] is None
    job = make_job(units)
    start_job(job=job, actor=None)
    tick()
    answer(units, job)
    tick()
    tick()
    assert again(job).status == "completed"

    cost = cost_of(units)

    assert cost["past_jobs"] == 1
    assert 0 < cost["seconds"]["low"] <= cost["seconds"]["likely"] < 60
    assert cost_of(units, "identify")["seconds"] is None
    stranger = estimate_cost(
        *(TenantFactory.create(), [1]),
        command_name="reboot",
        params={},
        waves=[1],
        rollout=DEFAULTS,
        seed="hash",
    )
    assert stranger["past_jobs"] == 0


def test_firmware_is_counted_with_the_size_of_its_release(
    settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    units = fleet_of(2)
    product = units[0].device.product
    create_release(
        tenant=product.tenant,
        version="1.10",
        file=ContentFile(b"x" * 5_000, name="fw.bin"),
        products=[product],
        hardware_revisions=[],
    )

    message = cost_of(units, "update_firmware", params={"version": "1.09"})["bytes"]
    loaded = cost_of(units, "update_firmware", params={"version": "1.10"})["bytes"]

    in_release = sum(unit.device.product_id == product.pk for unit in units)
    assert loaded == message + 5_000 * in_release
