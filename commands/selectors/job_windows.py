"""When the windows of jobs let their members be sent a command."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime

from commands.windows import next_opening, zone_named
from iotplatform.common import bulk_sql

_ZONES = """
    SELECT v.job_id, v.device_id, (j.rollout -> 'window')::text, s.time_zone
    FROM unnest(%s::bigint[], %s::bigint[]) AS v(job_id, device_id)
    JOIN commands_job j ON j.id = v.job_id
        AND jsonb_typeof(j.rollout -> 'window') = 'object'
    JOIN registry_device d ON d.id = v.device_id
    JOIN registry_site s ON s.id = d.site_id
"""

Member = tuple[int, int]  # the job, and the device


def find_openings(
    members: Collection[Member], *, now: datetime
) -> dict[Member, datetime]:
    """Return when the window of each member's site opens; of jobs with a window only.

    That is now where it is open.
    """
    columns = bulk_sql.columns_of(sorted(set(members)), 2)
    found: dict[tuple[str, str], datetime | None] = {}
    openings = {}
    for job_id, device_id, window, zone in bulk_sql.fetch(_ZONES, columns):
        key = (window, zone)
        if key not in found:
            found[key] = next_opening(json.loads(window), zone_named(zone), now)
        if at := found[key]:
            openings[job_id, device_id] = at
    return openings
