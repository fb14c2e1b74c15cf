"""The products of devices and of a job's members."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from commands.models import Job
from iotplatform.common import bulk_sql

# One array parameter: a job may have a million members.
_OF_DEVICES = """
    SELECT DISTINCT product_id FROM registry_device WHERE id = ANY(%s::bigint[])
"""
_OF_JOB = """
    SELECT DISTINCT d.product_id
    FROM commands_jobtarget t JOIN registry_device d ON d.id = t.device_id
    WHERE t.job_id = %s AND t.skip_reason = ''
"""


def products_of(device_ids: Collection[int]) -> list[int]:
    """Return the products of these devices."""
    return _ids(_OF_DEVICES, [list(device_ids)])


def products_of_job(job: Job) -> list[int]:
    """Return the products of the members that get a job's command."""
    return _ids(_OF_JOB, [job.pk])


def _ids(statement: str, values: list[Any]) -> list[int]:
    return [pk for (pk,) in bulk_sql.fetch(statement, values)]
