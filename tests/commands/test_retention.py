"""Old attempts, commands and jobs go; what is open or younger stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from commands.models import Attempt, Command, FrozenCohort, Job, JobTarget
from commands.services.actions import retry_command
from commands.services.jobs import start_job
from commands.services.retention import (
    ATTEMPTS_KEPT,
    COMMANDS_KEPT,
    forget_attempts_across_tenants,
    forget_commands_across_tenants,
    forget_jobs_across_tenants,
)
from commands.tasks import keep_partitions
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, fresh, now, online_unit

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def unit() -> Unit:
    return online_unit()


def ended(unit: Unit, status: str = "succeeded") -> Command:
    command = ask(unit)
    deliver()
    unit.result(command, status)
    return fresh(command)


def age(days: int, *commands: Command) -> None:
    """Make commands, with their attempts, so many days older."""
    by = timedelta(days=days)
    for number, command in enumerate(commands):
        at = command.created_at - by
        first = UUID(int=(int(at.timestamp() * 1_000) << 80) + number)
        given: dict[str, Any] = {"created_at": at, "public_id": first}
        if command.ended_at is not None:
            given["ended_at"] = command.ended_at - by
        Command.objects.filter(pk=command.pk).update(**given)
        Attempt.objects.filter(command=command).update(claimed_at=at)


def test_attempts_go_after_90_days_but_not_those_of_open_commands(unit: Unit) -> None:
    old, still_open = ended(unit), ask(unit)
    deliver()
    age(ATTEMPTS_KEPT.days + 1, old, fresh(still_open))
    young = ended(unit)

    assert forget_attempts_across_tenants(now=now()) == 1
    left = Attempt.objects.order_by("pk").values_list("command_id", flat=True)
    assert list(left) == [still_open.pk, young.pk]
    assert Command.objects.get(pk=old.pk).attempt_count == 1


def test_commands_go_after_400_days_and_their_retries_stay(unit: Unit) -> None:
    failed, open_one = ended(unit, "failed"), ask(unit)
    retry = retry_command(command=failed, actor=None, reason="again")
    young = ended(unit)
    age(COMMANDS_KEPT.days + 1, failed, fresh(open_one))
    age(COMMANDS_KEPT.days - 1, young)

    assert forget_commands_across_tenants(now=now()) == 1

    assert not Command.objects.filter(pk=failed.pk).exists()
    assert Command.objects.get(pk=retry.pk).retry_of is None
    assert Command.objects.count() == 3
    assert forget_commands_across_tenants(now=now()) == 0


def test_a_job_goes_with_all_its_members_in_batches(unit: Unit) -> None:
    units = fleet_of(3)
    old, young = (make_job(units, request=name) for name in ("old", "young"))
    for job in (old, young):
        start_job(job=job, actor=None)
        tick()
        deliver()
        for command in Command.objects.filter(job=job):
            Unit(command.device).result(command)
        tick()
        tick()
    Job.objects.filter(pk=old.pk).update(ended_at=timezone.now() - COMMANDS_KEPT - DAY)
    single = ended(unit)
    age(COMMANDS_KEPT.days + 1, single)

    handled: list[int] = []
    while not handled or handled[-1] == 2:
        handled.append(forget_jobs_across_tenants(now=now(), limit=2))

    assert handled == [2, 2, 1]
    assert list(Job.objects.all()) == [young]
    assert JobTarget.objects.count() == Command.objects.filter(job=young).count() == 3
    assert FrozenCohort.objects.count() == 1
    keep_partitions()
    assert not Command.objects.filter(pk=single.pk).exists()
