"""Reads for many devices at once: ids in, one query, values by id out."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from iotplatform.common import bulk_sql
from state.choices import Cause, Connectivity
from state.judgment.connectivity import SUSPECT_AFTER
from state.models import Presence, Twin

# One array parameter: a job may ask for 100,000. A device never heard is offline.
COUNT = """
    SELECT coalesce(p.connectivity, %s::text), count(*)
    FROM unnest(%s::bigint[]) AS d(id)
    LEFT JOIN state_presence p ON p.device_id = d.id GROUP BY 1
"""

_SLEEPS = """
    SELECT * FROM (
        SELECT p.device_id, coalesce(p.last_activity_at, p.since),
            p.sleeping_until + make_interval(secs => %s * coalesce(
                nullif(p.heartbeat_seconds, 0), r.heartbeat_seconds)) AS wakes_at
        FROM state_presence p
        JOIN registry_device d ON d.id = p.device_id
        JOIN registry_product r ON r.id = d.product_id
        WHERE p.device_id = ANY(%s) AND p.sleeping_until IS NOT NULL
    ) s WHERE wakes_at > %s
"""
# Of a device that announced when it will wake.
ASLEEP = str(Cause.SLEEPING.value)
# Of a child whose gateway cannot relay anything now.
GATEWAY_AWAY = str(Cause.GATEWAY_OFFLINE.value)
# The gateway's own row is asked: the child's verdict follows it some seconds later.
_DELIVERABILITY = f"""
    SELECT p.device_id, p.connectivity, p.cause FROM state_presence p
    WHERE p.device_id = ANY(%s::bigint[])
    UNION ALL
    SELECT c.id, '{GATEWAY_AWAY}', '' FROM registry_device c
    LEFT JOIN state_presence g ON g.device_id = c.gateway_id
    WHERE c.id = ANY(%s::bigint[]) AND c.gateway_id IS NOT NULL
        AND coalesce(g.connectivity <> '{Connectivity.ONLINE.value}'
            AND g.cause <> '{Cause.PLATFORM_BLIND.value}', true)
"""


def count_by_connectivity(device_ids: Collection[int]) -> dict[str, int]:
    """Return how many devices are online, suspect and so on; one query."""
    never_heard = str(Connectivity.OFFLINE.value)
    return dict(bulk_sql.fetch(COUNT, [never_heard, list(device_ids)]))


def presence_of(device_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Return connectivity and cause of each of these devices that was ever heard."""
    rows = Presence.objects.filter(device_id__in=device_ids)
    found = rows.values_list("device_id", "connectivity", "cause")
    return {pk: (connectivity, cause) for pk, connectivity, cause in found}


def deliverability_of(device_ids: Collection[int]) -> dict[int, str]:
    """Return the connectivity of each device for delivery.

    A child whose gateway is not online is GATEWAY_AWAY: no command can reach it. A
    device that announced its sleep is ASLEEP.
    """
    found = dict.fromkeys(device_ids, str(Connectivity.OFFLINE.value))
    if not found:
        return found
    ids = list(found)
    rows = bulk_sql.fetch(_DELIVERABILITY, [ids, ids])
    for device_id, connectivity, cause in rows:
        if found[device_id] != ASLEEP:
            found[device_id] = ASLEEP if cause == Cause.SLEEPING else connectivity
    return found


class Sleep(NamedTuple):
    """Since when a device sleeps, and when it must have woken."""

    since: datetime
    wakes_at: datetime


def sleeps_of(device_ids: Collection[int], *, now: datetime) -> dict[int, Sleep]:
    """Return the announced sleeps that are not over.

    A device has two more intervals to be heard again. It said nothing since it
    announced its sleep, so its last activity is when that began.
    """
    if not device_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_SLEEPS, [SUSPECT_AFTER, list(device_ids), now])
        return {pk: Sleep(since, wakes_at) for pk, since, wakes_at in cursor}


def desired_of(device_ids: Collection[int]) -> dict[int, tuple[dict[str, Any], int]]:
    """Return the desired document and version of the devices that have a twin."""
    rows = Twin.objects.filter(pk__in=device_ids)
    found = rows.values_list("pk", "desired", "desired_version")
    return {device_id: (desired, version) for device_id, desired, version in found}


def firmware_of(device_ids: Collection[int]) -> dict[int, str]:
    """Return the firmware that each of the devices reports, where it reports one."""
    rows = Twin.objects.filter(pk__in=device_ids).exclude(firmware="")
    return dict(rows.values_list("pk", "firmware"))


def reports_of(
    device_ids: Collection[int],
) -> dict[int, tuple[dict[str, Any], datetime]]:
    """Return the reported document of devices that have one, and when it arrived."""
    if not device_ids:
        return {}
    rows = Twin.objects.filter(pk__in=device_ids, reported_at__isnull=False)
    found = rows.values_list("pk", "reported", "reported_at")
    return {device_id: (reported, at) for device_id, reported, at in found if at}
