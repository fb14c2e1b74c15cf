"""A second person approves a command or a job whose definition needs it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from commands.exceptions import TransitionRefused
from commands.models import Command, Job
from commands.rollouts import APPROVAL_LAPSES_AFTER
from commands.selectors.commands import list_events
from commands.services.actions import cancel_command, retry_command
from commands.services.approvals import approve_command
from commands.services.commands import request_command
from commands.services.device_lifecycle import move_device
from commands.services.job_approvals import approve_job
from commands.services.jobs import start_job
from registry.models import User
from state.selectors import desired_of
from tests.commands.test_device_replacement import spare_for
from tests.commands.test_jobs import commands_of, make_job, tick
from tests.commands.test_own_commands import define
from tests.commands.test_sleepers import fall_asleep
from tests.commands.units import Unit, ask, claim, deliver, fresh, now, online_unit
from tests.commands.units import sweep as run_sweeps
from tests.factories import DeviceFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

FLUSH: dict[str, Any] = {"name": "flush", "params_schema": {}, "needs_approval": True}


@pytest.fixture
def author() -> User:
    made: User = UserFactory.create(username="author")
    return made


@pytest.fixture
def other() -> User:
    made: User = UserFactory.create(username="other")
    return made


def flush(
    unit: Unit,
    author: User | None = None,
    params: dict[str, Any] | None = None,
    **fields: Any,
) -> Command:
    define(unit, **(FLUSH | fields))
    command, _ = request_command(
        device=unit.device,
        name="flush",
        params=params or {},
        policy=None,
        idempotency_key=None,
        actor=author,
    )
    return command


def test_a_command_is_held_until_a_second_person_approves_it(
    author: User, other: User
) -> None:
    unit = online_unit()
    command = flush(unit, author)
    assert (command.status, command.waits_for) == ("held", "approval")
    run_sweeps(now() + timedelta(hours=25))  # no clock of the device's runs yet
    assert claim() == []

    at = now()
    approve_command(command=fresh(command), actor=other, reason="checked", now=at)

    approved = fresh(command)
    assert approved.status == "queued"
    assert approved.expires_at == at + timedelta(days=1)
    event = list(list_events(command))[-1]
    assert (event.actor, event.cause) == ("other", "approved: checked")
    assert [link.command_id for link in deliver()] == [command.public_id]


def test_over_rest_only_an_approver_who_is_not_the_author_approves() -> None:
    unit = online_unit()
    define(unit, **FLUSH)
    asked = {"device": unit.device.uid, "name": "flush", "params": {}}

    def client(role: str) -> APIClient:
        found = APIClient()
        found.force_authenticate(
            MembershipFactory(tenant=unit.device.tenant, role=role).user
        )
        return found

    manager, operator, approver = map(client, ("manager", "operator", "approver"))
    made = manager.post("/api/v1/commands/", asked, format="json").json()
    url = f"/api/v1/commands/{made['id']}/approve/"

    answers = [each.post(url) for each in (manager, operator, approver, approver)]

    assert (made["status"], made["waits_for"]) == ("held", "approval")
    assert [answer.status_code for answer in answers] == [403, 403, 200, 409]
    assert answers[2].json()["status"] == "queued"
    assert answers[2].json()["approved_at"] is not None


def test_a_command_that_nobody_approves_expires_and_cannot_be_retried() -> None:
    unit = online_unit()
    command = flush(unit)
    fall_asleep(unit, at=now(), until=now() + timedelta(days=30))

    run_sweeps(now() + APPROVAL_LAPSES_AFTER + timedelta(minutes=1))

    assert fresh(command).status == "expired"
    with pytest.raises(TransitionRefused, match="Nobody approved"):
        retry_command(command=fresh(command), actor=None, reason="")


def test_a_cancelled_command_is_not_approved(other: User) -> None:
    command = flush(online_unit())
    cancel_command(command=command, actor=None, reason="")

    with pytest.raises(TransitionRefused, match="waits for no approval"):
        approve_command(command=fresh(command), actor=other, reason="")


def test_an_offline_devices_command_waits_for_it_after_the_approval(
    other: User,
) -> None:
    unit = Unit(DeviceFactory.create())
    command = flush(unit)
    approve_command(command=command, actor=other, reason="")
    held = fresh(command)

    unit.come_online()

    assert (held.status, held.waits_for) == ("held", "device")
    assert fresh(command).status == "queued"


def test_configuration_that_waits_for_approval_changes_nothing_before_it(
    author: User, other: User
) -> None:
    unit = online_unit()
    command = flush(unit, author, command_class="config", params={"interval": 5})
    assert desired_of([unit.device.pk]) == {}
    earlier = ask(unit, "set_config", {"interval": 9, "mode": "eco"})

    approve_command(command=fresh(command), actor=other, reason="")

    assert fresh(earlier).status == "superseded"
    document, version = desired_of([unit.device.pk])[unit.device.pk]
    assert document == {"interval": 5, "mode": "eco"}
    assert fresh(command).desired_version == version
    deliver()
    unit.report(1, {"interval": 5})
    assert fresh(command).status == "verified"


def test_an_unapproved_command_is_not_passed_on_to_a_successor() -> None:
    unit = online_unit()
    command = flush(unit)
    spare = spare_for(unit.device)

    move_device(
        device=unit.device, to="replaced", replaced_by=spare, actor=None, reason="x"
    )

    assert fresh(command).status == "cancelled"
    assert not Command.objects.filter(device=spare).exists()


def test_a_job_awaits_the_approval_of_a_second_person(
    author: User, other: User
) -> None:
    unit = online_unit()
    define(unit, **FLUSH)
    job = make_job([unit], command={"name": "flush"}, actor=author)
    assert job.status == "awaiting_approval"
    with pytest.raises(TransitionRefused):
        start_job(job=job, actor=author)
    MembershipFactory(user=other, tenant=unit.device.tenant, role="approver")
    MembershipFactory(user=author, tenant=unit.device.tenant, role="manager")

    codes = []
    for user in (author, other, other):
        api = APIClient()
        api.force_authenticate(user)
        codes.append(api.post(f"/api/v1/jobs/{job.public_id}/approve/").status_code)

    assert codes == [403, 200, 409]
    start_job(job=Job.objects.get(pk=job.pk), actor=author)
    tick()
    assert [command.status for command in commands_of(job)] == ["queued"]


def test_an_approved_job_with_a_start_time_is_scheduled(other: User) -> None:
    unit = online_unit()
    define(unit, **FLUSH)
    start_at = (now() + timedelta(hours=1)).isoformat()
    job = make_job([unit], command={"name": "flush"}, rollout={"start_at": start_at})

    approved = approve_job(job=job, actor=other, reason="")

    assert (job.status, approved.status) == ("awaiting_approval", "scheduled")
