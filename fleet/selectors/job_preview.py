"""What a job would affect: sites, other jobs, and open commands."""

from __future__ import annotations

from typing import Any

from commands.lifecycle import JOB_FINAL
from iotplatform.common import bulk_sql
from registry.models import Tenant

# Counts by site first: a filter inside the aggregate would look up each device of the
# tenant in a list of 80,000 ids, which takes half a minute.
SITES_SQL = """
    WITH chosen AS (
        SELECT site_id, count(*) AS targets FROM registry_device
        WHERE id = ANY(%s::bigint[]) AND tenant_id = %s GROUP BY site_id
    )
    SELECT s.slug, chosen.targets, (
        SELECT count(*) FROM registry_device d
        WHERE d.site_id = chosen.site_id AND d.tenant_id = %s
    )
    FROM chosen JOIN registry_site s ON s.id = chosen.site_id
    ORDER BY 2 DESC, 1
"""
OTHER_JOBS_SQL = """
    SELECT count(DISTINCT t.device_id)
    FROM commands_jobtarget t JOIN commands_job j ON j.id = t.job_id
    WHERE t.device_id = ANY(%s::bigint[])
        AND j.status <> ALL(%s::text[]) AND t.skip_reason = ''
"""
OPEN_COMMANDS_SQL = """
    SELECT count(DISTINCT device_id) FROM commands_command
    WHERE device_id = ANY(%s::bigint[]) AND ended_at IS NULL
"""


def count_by_site(*, tenant: Tenant, device_ids: list[int]) -> list[dict[str, Any]]:
    """Return each site with the number of these devices and of all devices there."""
    rows = bulk_sql.fetch(SITES_SQL, [device_ids, tenant.pk, tenant.pk])
    return [
        {"site": site, "targets": targets, "total": total}
        for site, targets, total in rows
    ]


def count_in_other_jobs(device_ids: list[int]) -> int:
    """Return how many of the devices are members of a job that has not ended."""
    final = [str(status) for status in JOB_FINAL]
    [(number,)] = bulk_sql.fetch(OTHER_JOBS_SQL, [device_ids, final])
    return int(number)


def count_with_open_commands(device_ids: list[int]) -> int:
    """Return how many of the devices have a command without an outcome."""
    [(number,)] = bulk_sql.fetch(OPEN_COMMANDS_SQL, [device_ids])
    return int(number)
