"""What a job would touch: places, connectivity, and what else is under way there."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from commands.lifecycle import JOB_FINAL
from registry.models import Tenant
from state.selectors import connectivity_of

SITES_SQL = """
    SELECT s.slug, count(*) FILTER (WHERE d.id = ANY(%(ids)s)), count(*)
    FROM registry_device d JOIN registry_site s ON s.id = d.site_id
    WHERE d.tenant_id = %(tenant)s
        AND d.site_id IN (SELECT site_id FROM registry_device WHERE id = ANY(%(ids)s))
    GROUP BY s.slug ORDER BY 2 DESC, 1
"""
OTHER_JOBS_SQL = """
    SELECT count(DISTINCT t.device_id)
    FROM commands_jobtarget t JOIN commands_job j ON j.id = t.job_id
    WHERE t.device_id = ANY(%s) AND j.status <> ALL(%s) AND t.skip_reason = ''
"""
OPEN_COMMANDS_SQL = """
    SELECT count(DISTINCT device_id) FROM commands_command
    WHERE device_id = ANY(%s) AND ended_at IS NULL
"""


def sites_of(*, tenant: Tenant, device_ids: list[int]) -> list[dict[str, Any]]:
    """Return each site with how many of the devices stand there, and of how many."""
    with connection.cursor() as cursor:
        cursor.execute(SITES_SQL, {"ids": device_ids, "tenant": tenant.pk})
        return [
            {"site": site, "targets": targets, "total": total}
            for site, targets, total in cursor.fetchall()
        ]


def count_by_connectivity(device_ids: list[int]) -> dict[str, int]:
    """Return how many of the devices are online, suspect and so on."""
    return dict(Counter(connectivity_of(device_ids).values()))


def count_in_other_jobs(device_ids: list[int]) -> int:
    """Return how many of the devices are members of a job that has not ended."""
    return _count(OTHER_JOBS_SQL, [device_ids, [str(s) for s in JOB_FINAL]])


def count_with_open_commands(device_ids: list[int]) -> int:
    """Return how many of the devices have a command without an outcome."""
    return _count(OPEN_COMMANDS_SQL, [device_ids])


def _count(query: str, params: list[Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        (number,) = cursor.fetchone()
        return int(number)
