"""Each index of the command plane serves a query, and none repeats another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from commands.models import Attempt, Command, Job
from commands.selectors import due
from commands.selectors.affected_commands import _VERIFIABLE_BY_REPORTS
from commands.selectors.gateway_systems import _MIXED
from commands.selectors.job_tallies import FAILURE
from commands.services.claim_queues import _QUEUES, HOLDING
from commands.services.gateway_windows import _GATEWAY_IS_BACK
from registry.models import Device
from tests.commands.test_jobs import fleet_of, make_job

pytestmark = pytest.mark.django_db
# 2,000 jobs as this one, and 100,000 devices.
OTHER_JOBS = """
    WITH one AS (SELECT * FROM commands_job WHERE id = %s), cohort AS (
        INSERT INTO commands_frozencohort
            (tenant_id, query, taken_at, target_count, target_hash)
        SELECT one.tenant_id, '', now(), 1, '' FROM one, generate_series(1, 2000)
        RETURNING id
    ), made AS (
        INSERT INTO commands_job (public_id, tenant_id, name, cohort_id, command_name,
            command_class, params, policy, rollout, created_at, status, status_since,
            stop_reason)
        SELECT gen_random_uuid(), tenant_id, name, cohort.id, command_name,
            command_class, params, policy, rollout, created_at, 'completed', now(), ''
        FROM one, cohort
    ), site AS (
        SELECT d.* FROM registry_device d, one WHERE d.tenant_id = one.tenant_id LIMIT 1
    )
    INSERT INTO registry_device (public_id, uid, tenant_id, project_id, site_id,
        product_id, name, serial, kind, adapter, lifecycle, tags, attributes,
        created_at, updated_at)
    SELECT gen_random_uuid(), 'many-' || n, tenant_id, project_id, site_id,
        product_id, '', '', kind, adapter, lifecycle, tags, attributes, now(), now()
    FROM site, generate_series(1, 100000) n
"""
# All devices as members of the last job.
MEMBERS = """
    INSERT INTO commands_jobtarget (tenant_id, job_id, device_id, wave, skip_reason)
    SELECT d.tenant_id, last.id, d.id, 1, ''
    FROM registry_device d, (SELECT max(id) AS id FROM commands_job) last
    WHERE d.uid LIKE 'many-%'
"""
REDUNDANT = """
    SELECT a.indrelid::regclass::text, a.indexrelid::regclass::text
    FROM pg_index a JOIN pg_index b ON b.indrelid = a.indrelid
        AND b.indexrelid <> a.indexrelid
    WHERE a.indrelid::regclass::text LIKE 'commands\\_%' AND NOT a.indisunique
        AND a.indpred IS NULL AND b.indpred IS NULL
        AND a.indexprs IS NULL AND b.indexprs IS NULL
        AND array_to_string(b.indkey, ' ') || ' '
            LIKE array_to_string(a.indkey, ' ') || ' %'
        AND a.indclass[0] = b.indclass[0]
        AND (array_length(a.indkey, 1) < array_length(b.indkey, 1) OR b.indisunique)
"""


def test_no_index_repeats_the_first_columns_of_another() -> None:
    with connection.cursor() as cursor:
        cursor.execute(REDUNDANT)
        assert cursor.fetchall() == []


@pytest.fixture
def job() -> Job:
    """A job beside 6,000 commands of 60 devices, most of them long over."""
    units = fleet_of(60, online=False)
    made = make_job(units)
    now = timezone.now()
    devices = [unit.device for unit in units]
    Command.objects.bulk_create(
        _command(devices[number % 60], number, made if number % 5 else None)
        for number in range(6_000)
    )
    Attempt.objects.bulk_create(
        Attempt(
            tenant_id=command.tenant_id,
            command=command,
            number=1,
            adapter="mqtt",
            token=uuid4(),
            claimed_at=now - timedelta(seconds=command.pk),
        )
        for command in Command.objects.all()
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE commands_command, commands_attempt, registry_device")
    return made


def _command(device: Device, number: int, job: Job | None) -> Command:
    """Return a command: of 100, one is held, two are queued, one was sent."""
    now = timezone.now()
    status = {0: "held", 1: "queued", 2: "queued", 3: "sent"}.get(number % 100)
    behind = number % 200 == 0
    return Command(
        **{"tenant": device.tenant, "device": device, "job": job, "name": "set_config"},
        **{"command_class": "config", "status": status or "failed"},
        created_at=now - timedelta(days=1),
        status_since=now,
        waits_for=("gateway" if behind else "device") if status == "held" else "",
        failure_class="unverified" if status is None else "",
        expectation={} if number % 50 == 7 else None,
        expires_at=now + timedelta(seconds=number),
        due_at=now + timedelta(seconds=number) if status else None,
        ended_at=None if status else now - timedelta(days=1),
    )


def queries(job: Job) -> Iterator[tuple[str, str]]:
    """Yield each index with the plan of the query that it serves."""
    now, some = timezone.now(), Command.objects.order_by("pk")[1_000]
    commands = Command.objects.filter
    device = some.device_id
    yield "commands_to_look_at", due.due_commands(now=now)[:100].explain()
    yield "commands_to_expire", due.expired_in_queue(now=now)[:100].explain()
    of_device = commands(device=device, ended_at__isnull=True)
    yield "commands_open_by_device", of_device.explain()
    by_device = commands(device=device).order_by("-pk")[:10]
    yield "commands_by_device", by_device.explain()
    by_tenant = commands(tenant=some.tenant_id + 1).order_by("-pk")[:10]
    yield "commands_by_tenant", by_tenant.explain()
    yield "commands_by_job", commands(job=job, status="sent").explain()
    is_exception = Q(status__in=FAILURE) | Q(needs_person=True)
    first = commands(is_exception, job=job).order_by("pk")[:50]
    yield "commands_exceptions", first.explain()
    yield "commands_retries", commands(retry_of=some.pk).explain()
    yield "public_id", commands(public_id=some.public_id).explain()
    yield (
        "commands_correctable",
        explain(_VERIFIABLE_BY_REPORTS, [device], [device], now),
    )
    yield (
        "commands_to_claim",
        explain(_QUEUES, *["mqtt"] * 4, HOLDING, "mqtt", now, now),
    )
    yield "commands_behind_gateway", explain(_GATEWAY_IS_BACK, 100)
    attempts = Attempt.objects.filter(command=some, number=1)
    yield "commands_attempt_number_once", attempts.explain()
    lately = Attempt.objects.filter(claimed_at__gt=now - timedelta(seconds=2))
    yield "commands_attempt_lately", lately.explain()


def explain(statement: str, *values: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(line for (line,) in cursor.fetchall())


def test_each_index_of_commands_is_in_the_plan_of_a_query(job: Job) -> None:
    plans = dict(queries(job))

    assert {name for name, plan in plans.items() if name not in plan} == set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text FROM pg_index"
            " WHERE indrelid = 'commands_command'::regclass AND NOT indisprimary"
        )
        there = [name for (name,) in cursor.fetchall()]
    unused = [name for name in there if not any(known in name for known in plans)]
    assert unused == []


def test_mixed_systems_are_looked_for_in_jobs_with_combinations_only() -> None:
    """Thousands of other jobs, one of them with 100,000 members, are not read."""
    job = make_job(fleet_of(1, online=False))
    with connection.cursor() as cursor:
        cursor.execute(OTHER_JOBS, [job.pk])
        # The connection may have planned its foreign keys' checks for small tables:
        # each of 100,000 members would read all devices.
        cursor.execute("ANALYZE registry_device, commands_job")
        cursor.execute(MEMBERS)
        cursor.execute("ANALYZE commands_jobtarget")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_MIXED}", [100])
        [(found,)] = cursor.fetchall()
    [plan] = json.loads(found) if isinstance(found, str) else found

    assert "commands_job_combinations" in json.dumps(plan)
    assert "Seq Scan" not in json.dumps(plan["Plan"])
    assert plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"] < 50
