"""What made a job stop is sent by no other job, until a second person lifts that."""

from __future__ import annotations

from typing import Any

import pytest

from commands.exceptions import ChangeHeld, InvalidCommand, NothingHeld
from commands.models import Job, JobEvent
from commands.services.job_lift import lift_hold
from commands.services.job_rollback import roll_back_job
from commands.services.jobs import start_job
from iotplatform.common.problems import Forbidden
from tests.commands.test_job_api import JOBS, client_of
from tests.commands.test_jobs import again, answer, fleet_of, make_job, tick
from tests.commands.units import Unit
from tests.factories import DeviceFactory, ProductFactory, UserFactory

pytestmark = pytest.mark.django_db

PATCH = {"name": "set_config", "params": {"interval": 5, "net": {"apn": "x"}}}
SAME = {"name": "set_config", "params": {"net": {"apn": "x"}, "interval": 5}}
UPDATE = {"name": "update_firmware", "params": {"version": "2.0"}}


def stopped_job(units: list[Unit], command: dict[str, Any], **more: Any) -> Job:
    job = make_job(units, command=command, **more)
    start_job(job=job, actor=None)
    tick()
    answer(units, job, status="failed")
    tick()
    assert again(job).status == "stopped"
    return again(job)


@pytest.mark.parametrize(
    ("command", "repeated"), [(PATCH, SAME), (UPDATE, UPDATE)], ids=["patch", "release"]
)
def test_a_stopped_job_marks_its_change(
    command: dict[str, Any], repeated: dict[str, Any]
) -> None:
    units = fleet_of(3)
    job = stopped_job(units, command)

    with pytest.raises(ChangeHeld) as refused:
        make_job(units, command=repeated, request="r2")

    assert refused.value.extra == {"held_by": str(job.public_id)}
    assert Job.objects.count() == 1


def test_other_changes_and_other_products_are_free() -> None:
    units = fleet_of(3)
    stopped_job(units, UPDATE)
    tenant = units[0].device.tenant
    product = ProductFactory.create(tenant=tenant)
    other = Unit(
        DeviceFactory.create(tenant=tenant, product=product, site=units[0].device.site)
    )

    make_job(
        units,
        command={"name": "update_firmware", "params": {"version": "2.1"}},
        request="r2",
    )
    make_job([other], command=UPDATE, request="r3")
    make_job(fleet_of(1), command=UPDATE, request="r4")  # of another tenant


def test_a_draft_of_earlier_cannot_start_either() -> None:
    units = fleet_of(3)
    draft = make_job(units, command=UPDATE, request="r2")
    stopped_job(units, UPDATE)

    with pytest.raises(ChangeHeld):
        start_job(job=draft, actor=None)


def test_a_job_without_a_kept_value_marks_nothing() -> None:
    units = fleet_of(3)
    job = stopped_job(units, {"name": "reboot", "params": {}})

    make_job(units, request="r2")
    with pytest.raises(NothingHeld):
        lift_hold(job=job, actor=None, reason="it was the network")


def test_a_second_person_lifts_it_with_a_reason() -> None:
    units = fleet_of(3)
    author, second = UserFactory.create_batch(2)
    job = stopped_job(units, UPDATE, actor=author)

    with pytest.raises(Forbidden):
        lift_hold(job=job, actor=author, reason="it was the network")
    with pytest.raises(InvalidCommand):
        lift_hold(job=job, actor=second, reason=" ")
    lift_hold(job=job, actor=second, reason="it was the network")

    make_job(units, command=UPDATE, request="r2")
    last = JobEvent.objects.filter(job=job).order_by("pk").last()
    assert last is not None
    assert last.actor == second.username
    assert "it was the network" in last.cause
    with pytest.raises(NothingHeld):
        lift_hold(job=job, actor=second, reason="again")


def test_a_rollback_may_send_what_is_held() -> None:
    units = fleet_of(3)
    stopped_job(units, PATCH)
    job = Job.objects.get()

    rollback = roll_back_job(job=job, actor=None)

    assert rollback.status == "running"


def test_the_api_shows_the_hold_and_lifts_it() -> None:
    units = fleet_of(3)
    author = UserFactory.create()
    job = stopped_job(units, PATCH, actor=author)
    path = f"{JOBS}{job.public_id}/"
    api = client_of(job.tenant, "approver")

    held = api.get(path).json()["held"]
    silent = api.post(f"{path}lift/", {}, format="json")
    lifted = api.post(f"{path}lift/", {"reason": "a wrong sensor"}, format="json")

    assert (held["kind"], held["lifted_at"]) == ("config", None)
    assert silent.status_code == 400
    assert lifted.status_code == 200
    assert lifted.json()["held"]["lift_reason"] == "a wrong sensor"
    assert api.post(f"{path}lift/", {"reason": "x"}, format="json").status_code == 409
    viewer = client_of(job.tenant, "viewer")
    assert (
        viewer.post(f"{path}lift/", {"reason": "x"}, format="json").status_code == 403
    )
