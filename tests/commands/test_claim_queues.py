"""Claims go lane by lane, in turns of tenants, past what may not be sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from commands.choices import Lane
from commands.models import Command, Job
from commands.services import claim_queues
from commands.services.claim_queues import Queue, list_queues, share_out
from commands.services.dispatch import claim_due
from commands.services.jobs import start_job
from commands.services.sweeps import follow_adapters_across_tenants
from iotplatform.common import bulk_sql
from registry.models import Device
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import (
    Unit,
    ask,
    claim,
    deliver,
    fresh,
    now,
    online_unit,
    sweep,
)
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)

queues = st.lists(
    st.builds(Queue, st.just(1), st.integers(1, 6), st.integers(0, 3)),
    min_size=1,
    unique=True,
)


@given(queues, st.integers(1, 300), st.floats(0, 0.999))
def test_shares_add_up_and_tenants_get_the_same(
    waiting: list[Queue], limit: int, first: float
) -> None:
    shares = share_out(waiting, limit, first=first)

    assert sum(shares.values()) == limit
    by_tenant = dict.fromkeys({queue.tenant_id for queue in waiting}, 0)
    for queue, share in shares.items():
        by_tenant[queue.tenant_id] += share
    assert max(by_tenant.values()) - min(by_tenant.values()) <= 1


def names_of(limit: int) -> list[str]:
    at = now() + timedelta(seconds=2)
    links = claim_due(adapter="mqtt", limit=limit, lease_seconds=30, now=at)
    found = Command.objects.filter(public_id__in=[link.command_id for link in links])
    return sorted(found.values_list("name", flat=True))


def test_a_real_time_command_is_claimed_before_persons_retries_and_jobs() -> None:
    units = fleet_of(3)
    start_job(job=make_job(units), actor=None)
    tick()
    retried = ask(units[0], "set_config", {"interval": 5})
    Command.objects.filter(pk=retried.pk).update(attempt_count=1, lane=Lane.RETRY)
    asked = ask(units[1], "update_firmware", {"version": "2"})
    urgent = ask(units[2], "identify")

    assert [names_of(1) for _ in range(4)] == [
        [urgent.name],
        [asked.name],
        [retried.name],
        ["reboot"],
    ]


def test_tenants_take_turns_however_long_their_queues_are() -> None:
    busy = fleet_of(1)[0]
    for _ in range(20):
        ask(busy)
    others = [fleet_of(1)[0] for _ in range(2)]
    for unit in others:
        ask(unit)

    links = claim_due(adapter="mqtt", limit=6, lease_seconds=30, now=now() + MINUTE)

    topics = [link.topic.split("/")[2] for link in links]
    assert len(topics) == 6
    assert {unit.device.uid for unit in others} <= set(topics)


def test_a_retry_waits_in_the_lane_of_retries() -> None:
    unit = online_unit()
    command = ask(unit, backoff_seconds=0, receive_timeout_seconds=5)
    assert fresh(command).lane == Lane.PERSON
    deliver()

    sweep(now() + MINUTE)

    assert (fresh(command).status, fresh(command).lane) == ("queued", Lane.RETRY)


def test_queued_commands_follow_a_device_to_its_new_adapter() -> None:
    unit = online_unit(adapter="http")
    command = ask(unit)
    Device.objects.filter(pk=unit.device.pk).update(adapter="mqtt")
    assert claim() == []

    assert follow_adapters_across_tenants(now=now()) == 1

    assert [link.command_id for link in claim()] == [command.public_id]


def queued(device: Device, count: int, **values: Any) -> None:
    """Queue many commands of one device."""
    at = now() - MINUTE
    common = {
        "tenant": device.tenant,
        "device": device,
        "name": "reboot",
        "command_class": "operation",
        "adapter": device.adapter,
        "status": "queued",
        "created_at": at,
        "status_since": at,
        "due_at": at,
        "expires_at": at + timedelta(days=1),
    }
    Command.objects.bulk_create(Command(**(common | values)) for _ in range(count))


def buffers_of(statement: str, values: list[Any]) -> int:
    explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
    ((plan,),) = bulk_sql.fetch(explain, values)
    node = plan[0]["Plan"]
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def test_a_claim_costs_the_same_whatever_may_not_be_sent() -> None:
    """In front of 50 commands: those of a paused job, and of devices that poll."""
    unit = Unit(DeviceFactory.create())
    paused = make_job([unit])
    Job.objects.filter(pk=paused.pk).update(status="paused")
    polls = DeviceFactory.create(tenant=unit.device.tenant, adapter="http")
    queued(unit.device, 5_000, job=paused, lane=Lane.JOB)
    queued(polls, 2_000)
    queued(unit.device, 50, lane=Lane.CONTROL)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE commands_command, registry_device, commands_job")
    at = now()

    found = list_queues(adapter="mqtt", now=at)
    shares = share_out(found, 200, first=0)
    columns = [list(column) for column in zip(*shares, strict=True)]
    looked = buffers_of(
        claim_queues._QUEUES,
        [*["mqtt"] * 4, claim_queues.HOLDING, "mqtt", at, at],
    )
    values = [*columns, list(shares.values()), "mqtt", at, at, claim_queues.LIFECYCLES]
    claimed = buffers_of(claim_queues._CLAIM, [*values, at, at])

    assert [queue.lane for queue in found] == [Lane.CONTROL]
    assert Command.objects.filter(claim_token__isnull=False).count() == 50
    assert looked <= 100
    assert looked + claimed <= 50 * 50
