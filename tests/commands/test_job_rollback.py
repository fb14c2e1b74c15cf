"""A rollback gives each member its own previous values, as a new job."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from hypothesis import given
from hypothesis import strategies as st

from commands.exceptions import RollbackRefused
from commands.models import Command, Job, JobTarget
from commands.services.job_rollback import roll_back_job
from commands.services.jobs import resume_job, start_job
from registry.models import Product
from registry.services.firmware import create_release
from state.judgment.twin_documents import merge_patch, restoring_patch
from state.models import Twin
from tests.commands.test_health_gate import lose, online_fleet, run, succeed
from tests.commands.test_job_api import JOBS, client_of
from tests.commands.test_jobs import again, fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, now

pytestmark = pytest.mark.django_db

PATCH = {"interval": 5, "net": {"apn": "new"}, "old": None}
BEFORE: list[dict[str, Any]] = [
    {"interval": 60, "old": [1, 2], "kept": True},
    {"net": {"apn": "a", "band": 3}, "kept": 0.1},
    {"interval": 30.5, "net": "auto", "old": {"deep": {"er": "x"}}},
]

_scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
_keys = st.sampled_from("abc")
_patches = st.recursive(
    st.dictionaries(_keys, _scalars | st.lists(st.integers(), max_size=2), max_size=3),
    lambda inner: st.dictionaries(_keys, inner | _scalars, max_size=3),
    max_leaves=8,
)


@given(_patches, _patches)
def test_the_restoring_patch_undoes_a_patch(before: Any, patch: Any) -> None:
    document = merge_patch({}, before)  # a stored document has no nulls

    changed = merge_patch(document, patch)

    assert merge_patch(changed, restoring_patch(document, patch)) == document


def desired_of_all() -> dict[int, Any]:
    return dict(Twin.objects.values_list("pk", "desired"))


def configured(units: list[Unit]) -> dict[int, Any]:
    """Give the devices one of three former configurations, in turns."""
    for number, unit in enumerate(units):
        document = BEFORE[number % len(BEFORE)]
        ask(unit, "set_config", document)
    for link in deliver():
        command = Command.objects.get(public_id=link.command_id)
        unit = next(u for u in units if u.device.pk == command.device_id)
        unit.result(command)
    return desired_of_all()


def report_desired(units: list[Unit], version: int) -> None:
    """Deliver, and let each device report what is desired of it."""
    deliver()
    wanted = desired_of_all()
    for unit in units:
        unit.report(version, wanted[unit.device.pk])


def config_job(units: list[Unit], **rollout: Any) -> Job:
    job = make_job(
        units, command={"name": "set_config", "params": PATCH}, rollout=rollout
    )
    start_job(job=job, actor=None)
    tick()
    return job


def test_each_member_gets_its_own_previous_configuration_back() -> None:
    units = fleet_of(9)
    before = configured(units)
    job = config_job(units)
    report_desired(units, 1)
    assert all(document != before[pk] for pk, document in desired_of_all().items())

    rollback = roll_back_job(job=job, actor=None)
    tick()
    report_desired(units, 2)
    tick()
    tick()

    assert desired_of_all() == before
    assert again(job).status == "stopped"
    assert again(rollback).status == "completed"
    made = Command.objects.filter(job=rollback)
    assert set(made.values_list("status", flat=True)) == {"verified"}
    first = made.get(device=units[1].device)
    assert first.params == {"interval": None, "net": {"apn": "a"}}


def test_only_members_that_got_their_command_are_rolled_back() -> None:
    units = fleet_of(6)
    configured(units)
    job = config_job(units, canary=2)

    rollback = roll_back_job(job=job, actor=None)

    assert JobTarget.objects.filter(job=rollback).count() == 2
    assert rollback.cohort.target_count == 2


def test_a_member_that_was_changed_since_keeps_that() -> None:
    units = fleet_of(3)
    before = configured(units)
    job = config_job(units)
    report_desired(units, 1)
    ask(units[0], "set_config", {"interval": 7})

    rollback = roll_back_job(job=job, actor=None)
    tick()

    skipped = JobTarget.objects.exclude(skip_reason="").get(job=rollback)
    assert skipped.device_id == units[0].device.pk
    assert skipped.skip_reason == "its configuration was changed since"
    assert desired_of_all()[units[0].device.pk]["interval"] == 7
    assert desired_of_all()[units[1].device.pk] == before[units[1].device.pk]


def test_a_job_is_rolled_back_once_and_not_resumed_after_that() -> None:
    units = fleet_of(2)
    job = config_job(units)
    rollback = roll_back_job(job=job, actor=None)

    with pytest.raises(RollbackRefused) as refused:
        roll_back_job(job=job, actor=None)
    with pytest.raises(RollbackRefused):
        resume_job(job=job, actor=None, reason="once more")

    assert refused.value.extra == {"rolled_back_by": str(rollback.public_id)}


def test_a_rollback_can_be_rolled_back() -> None:
    units = fleet_of(3)
    configured(units)
    job = config_job(units)
    changed = desired_of_all()
    rollback = roll_back_job(job=job, actor=None)
    tick()

    roll_back_job(job=rollback, actor=None)
    tick()

    assert desired_of_all() == changed


@pytest.mark.parametrize("start", [True, False])
def test_what_changed_nothing_cannot_be_rolled_back(start: bool) -> None:
    units = fleet_of(2)
    command = {"name": "reboot", "params": {}} if start else None
    job = make_job(units, **({"command": command} if command else {}))
    if start:
        start_job(job=job, actor=None)
        tick()

    with pytest.raises(RollbackRefused):
        roll_back_job(job=job, actor=None)


def release(product: Product, version: str) -> None:
    create_release(
        tenant=product.tenant,
        version=version,
        file=ContentFile(version.encode(), name="fw.bin"),
        products=[product],
    )


def firmware_job(units: list[Unit], versions: list[str], **rollout: Any) -> Job:
    for number, unit in enumerate(units):
        unit.report(1, {"firmware": versions[number % len(versions)]})
    job = make_job(
        units,
        command={"name": "update_firmware", "params": {"version": "2.0"}},
        rollout=rollout,
    )
    start_job(job=job, actor=None)
    tick()
    return job


def test_each_member_gets_its_former_firmware_where_there_is_a_release(
    settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    units = fleet_of(6)
    product = units[0].device.product
    for version in ("1.1", "1.2", "2.0"):
        release(product, version)
    job = firmware_job(units, ["1.1", "1.2", "1.3"])
    deliver()
    for unit in units:
        unit.report(2, {"firmware": "2.0"})

    rollback = roll_back_job(job=job, actor=None)
    tick()
    deliver()
    for command in Command.objects.filter(job=rollback):
        unit = next(u for u in units if u.device.pk == command.device_id)
        unit.report(3, {"firmware": command.params["version"]})
    tick()
    tick()

    made = Command.objects.filter(job=rollback).order_by("device_id")
    assert [(c.params["version"], c.status) for c in made] == [
        ("1.1", "verified"),
        ("1.2", "verified"),
    ] * 2
    skipped = JobTarget.objects.filter(job=rollback).exclude(skip_reason="")
    assert {target.skip_reason for target in skipped} == {
        "there is no release 1.3 for it"
    }
    assert again(rollback).status == "completed"


def test_an_update_that_was_not_sent_yet_is_cancelled() -> None:
    units = fleet_of(2)
    job = firmware_job(units, ["1.1"])
    sent = Command.objects.filter(job=job).order_by("pk")[0]
    Command.objects.exclude(pk=sent.pk).update(status="held", due_at=now())
    deliver()

    rollback = roll_back_job(job=job, actor=None)

    assert JobTarget.objects.get(job=rollback).device_id == sent.device_id
    other = Command.objects.filter(job=job).exclude(pk=sent.pk).get()
    assert other.status == "cancelled"


def test_a_gate_may_roll_back_by_itself() -> None:
    start = now()
    units = online_fleet(30, start)
    gate = {"metric": "disconnects", "worse_by": 0.05, "on_breach": "rollback"}
    job = make_job(
        units,
        command={"name": "set_config", "params": PATCH},
        rollout={"canary": 6, "soak_seconds": 60, "health_gate": gate},
    )
    start_job(job=job, actor=None)
    tick(start)
    canaries = succeed(job, units, start + timedelta(seconds=1))
    lose(canaries, start + timedelta(seconds=5))

    run(job, start + timedelta(seconds=6), seconds=70)

    assert again(job).status == "stopped"
    rollback = Job.objects.exclude(pk=job.pk).get()
    assert rollback.status == "running"
    assert JobTarget.objects.filter(job=rollback).count() == 6
    assert Command.objects.filter(job=rollback).count() == 6


def test_the_api_answers_with_the_new_job_and_refuses_a_second_one() -> None:
    units = fleet_of(2)
    job = config_job(units)
    api = client_of(job.tenant)
    path = f"{JOBS}{job.public_id}/rollback/"

    made = api.post(path, {"reason": "bad"}, format="json")
    twice = api.post(path)

    assert made.status_code == 201
    assert made.json()["status"] == "running"
    assert made.json()["rollback_of"] == str(job.public_id)
    assert twice.status_code == 409
    assert twice.json()["rolled_back_by"] == made.json()["id"]
    assert (
        api.get(f"{JOBS}{job.public_id}/").json()["rolled_back_by"]
        == (made.json()["id"])
    )
    assert client_of(job.tenant, "viewer").post(path).status_code == 403
    assert client_of(fleet_of(1)[0].device.tenant).post(path).status_code == 404
