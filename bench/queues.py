"""Queued commands for a benchmark: what may be sent, behind much that may not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from bench.lab import Lab

TO_HTTP = """
    UPDATE registry_device SET adapter = 'http' WHERE id = ANY(%s::bigint[])
"""


def make_job(status: str, *, members: int) -> Any:
    """Return a job without waves, so that only its queue matters."""
    from commands.models import FrozenCohort, Job
    from registry.models import Tenant

    now, tenant = datetime.now(UTC), Tenant.objects.get()
    return Job.objects.create(
        tenant=tenant,
        name=status,
        cohort=FrozenCohort.objects.create(
            tenant=tenant, taken_at=now, target_count=members
        ),
        command_name="identify",
        command_class="control",
        created_at=now,
        status=status,
        status_since=now,
        paused_at=now if status == "paused" else None,
    )


def queue(devices: Sequence[int], **values: Any) -> None:
    """Queue one command for each device."""
    from commands.definitions import DEFINITIONS
    from commands.models import Command
    from registry.models import Tenant

    now, tenant = datetime.now(UTC), Tenant.objects.get()
    policy = DEFINITIONS["identify"].policy
    made = Command.objects.bulk_create(
        (
            Command(
                tenant=tenant,
                device_id=device_id,
                name="identify",
                command_class="control",
                policy=policy,
                is_repeatable=True,
                created_at=now,
                status="queued",
                status_since=now,
                expires_at=now + timedelta(days=1),
                due_at=now,
                **values,
            )
            for device_id in devices
        ),
        batch_size=5_000,
    )
    assert len(made) == len(devices)


def queue_unsendable(lab: Lab, paused: Sequence[int], unpolled: Sequence[int]) -> None:
    """Queue commands of a paused job, and of HTTP devices that do not poll."""
    with psycopg.connect(lab.admin_url) as database:
        database.execute("SET session_replication_role = replica")
        database.execute(TO_HTTP, [list(unpolled)])
    if paused:
        queue(paused, job=make_job("paused", members=len(paused)), lane=3)
    queue(unpolled, adapter="http")


def settle(lab: Lab) -> None:
    """Give the planner statistics of what was queued."""
    with psycopg.connect(lab.admin_url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")
