"""Reads for many devices at once: ids in, one query, values by id out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection

from state.choices import Cause, Connectivity
from state.models import Presence, Twin

# One array parameter: a job may ask for 100,000. A device never heard is offline.
COUNT = """
    SELECT coalesce(p.connectivity, %s), count(*)
    FROM unnest(%s::bigint[]) AS d(id)
    LEFT JOIN state_presence p ON p.device_id = d.id GROUP BY 1
"""


def connectivity_of(device_ids: Collection[int]) -> dict[int, str]:
    """Return the connectivity of each device; offline if it was never heard."""
    found = dict.fromkeys(device_ids, str(Connectivity.OFFLINE.value))
    rows = Presence.objects.filter(pk__in=device_ids)
    return found | dict(rows.values_list("pk", "connectivity"))


def count_by_connectivity(device_ids: Collection[int]) -> dict[str, int]:
    """Return how many devices are online, suspect and so on; one query."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [str(Connectivity.OFFLINE.value), list(device_ids)])
        return dict(cursor.fetchall())


def deliverability_of(device_ids: Collection[int]) -> dict[int, str]:
    """Return the connectivity of each device for delivery.

    A child whose gateway is away counts as offline: no command can reach it.
    """
    found = connectivity_of(device_ids)
    cut_off = Presence.objects.filter(
        pk__in=device_ids,
        connectivity=Connectivity.STALE,
        cause=Cause.GATEWAY_OFFLINE,
    )
    offline = str(Connectivity.OFFLINE.value)
    return found | dict.fromkeys(cut_off.values_list("pk", flat=True), offline)


def desired_of(device_ids: Collection[int]) -> dict[int, tuple[dict[str, Any], int]]:
    """Return the desired document and version of the devices that have a twin."""
    rows = Twin.objects.filter(pk__in=device_ids)
    found = rows.values_list("pk", "desired", "desired_version")
    return {device_id: (desired, version) for device_id, desired, version in found}


def reports_of(
    device_ids: Collection[int],
) -> dict[int, tuple[dict[str, Any], datetime]]:
    """Return the reported document of devices that have one, and when it arrived."""
    if not device_ids:
        return {}
    rows = Twin.objects.filter(pk__in=device_ids, reported_at__isnull=False)
    found = rows.values_list("pk", "reported", "reported_at")
    return {device_id: (reported, at) for device_id, reported, at in found if at}
