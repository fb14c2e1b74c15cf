"""What a job hands out is what a person would have asked for, member by member."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from commands.choices import Lane
from commands.models import Command, CommandEvent, JobTarget
from commands.services.commands import request_command
from commands.services.jobs import start_job
from registry.models import Device
from tests.commands.test_gateway_windows import children_of
from tests.commands.test_jobs import commands_of, make_job, tick
from tests.commands.test_sleepers import fall_asleep
from tests.commands.units import Unit, now, online_unit
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db

OF_THE_JOB = {"id", "public_id", "job", "job_queue", "lane"}
HOUR = timedelta(hours=1)


def of_all_kinds() -> list[Unit]:
    """Return devices that are online, offline, asleep, and behind an absent gateway."""
    online = online_unit()
    same: dict[str, Any] = {"tenant": online.device.tenant}
    same |= {"site": online.device.site, "product": online.device.product}
    polling = online_unit(adapter="http", **same)
    offline, sleeper = Unit(DeviceFactory.create(**same)), online_unit(**same)
    gateway = online_unit(kind="gateway", **same)
    [child] = children_of(gateway.device, 1)
    gateway.say("status", {"status": "goodbye"})
    fall_asleep(sleeper, at=now(), until=now() + 6 * HOUR)
    return [online, polling, offline, sleeper, child]


def row_of(command: Command) -> dict[str, Any]:
    fields = {field.name for field in Command._meta.concrete_fields} - OF_THE_JOB
    return {name: getattr(command, name) for name in sorted(fields)}


def causes() -> dict[str, str]:
    """Return what follows the first word on each command's only event, by device."""
    events = CommandEvent.objects.values_list("device__uid", "cause")
    return {uid: cause.partition(";")[2] for uid, cause in events}


def test_a_jobs_command_is_what_a_person_would_have_asked_for() -> None:
    units, at = of_all_kinds(), now() + timedelta(seconds=1)
    own = {}
    for unit in units:
        device = Device.objects.get(pk=unit.device.pk)
        own[device.pk], _ = request_command(
            device=device,
            name="reboot",
            params={},
            policy=None,
            idempotency_key=None,
            actor=None,
            now=at,
        )
    asked = {pk: row_of(Command.objects.get(pk=row.pk)) for pk, row in own.items()}
    said = causes()
    CommandEvent.objects.all().delete()

    job = make_job(units, now=at)
    start_job(job=job, actor=None, now=at)
    tick(at)

    made = commands_of(job)
    assert {c.device_id: row_of(c) for c in made} == asked
    assert causes() == said
    assert {row["waits_for"] for row in asked.values()} == {"", "device", "gateway"}
    assert any(row["clock_stopped_at"] for row in asked.values())
    assert {c.lane for c in made} == {Lane.JOB}
    links = JobTarget.objects.filter(job=job).values_list("device_id", "command_id")
    assert dict(links) == {c.device_id: c.pk for c in made}
