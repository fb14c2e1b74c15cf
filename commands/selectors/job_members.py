"""Reads about members of a job: may they join, and who is next."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import connection

from commands.models import JobTarget
from registry.choices import JOINS_JOBS, Lifecycle
from registry.models import Device, Tenant
from registry.selectors.access import sql_within

# One array parameter: an IN list of 100,000 would be 100,000 parameters.
JOIN_FACTS = """
    SELECT d.id, d.lifecycle, p.takes_commands, d.product_id = ANY(%s)
    FROM registry_device d JOIN registry_product p ON p.id = d.product_id
    WHERE d.id = ANY(%s) AND {accessible} ORDER BY d.id
"""


def get_join_refusals(
    tenant: Tenant, device_ids: Sequence[int], *, without: Collection[int] = ()
) -> dict[int, str]:
    """Return for each of the tenant's devices why it may not join a job; empty: it may.

    ``without`` are products that do not have the command. Ids of other devices are left
    out.
    """
    accessible, values = sql_within([tenant], "d")
    statement = JOIN_FACTS.format(accessible=accessible)
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(without), list(device_ids), *values])
        return {pk: _why_not(*facts) for pk, *facts in cursor}


def list_next_targets(job_id: int, wave: int, *, limit: int) -> list[JobTarget]:
    """Return the next members of the wave that have no command yet."""
    waiting = JobTarget.objects.filter(
        job_id=job_id, wave=wave, command__isnull=True, skip_reason=""
    )
    return list(waiting.order_by("pk")[:limit])


def get_devices_with_refusals(
    device_ids: Collection[int],
) -> dict[int, tuple[Device, str]]:
    """Return the devices by id, each with the reason why it gets no job command."""
    devices = Device.objects.filter(pk__in=device_ids).select_related("product")
    return {
        device.pk: (device, _why_not(device.lifecycle, device.product.takes_commands))
        for device in devices
    }


def _why_not(lifecycle: str, takes_commands: bool, is_without: bool = False) -> str:
    if lifecycle not in JOINS_JOBS:
        return f"is {Lifecycle(lifecycle).label}: only active devices join jobs"
    if not takes_commands:
        return "its product takes no commands"
    if is_without:
        return "its product does not have this command"
    return ""
