"""What the platform sent to devices in a time, for what was changed before an incident.

Each row: at, kind, id, name, text, how many of the given devices, how many in all. The
time is the median of the given devices: one latecomer does not make a change recent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from iotplatform.common import bulk_sql

_JOBS: LiteralString = """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c.sent_at)
            FILTER (WHERE m.id IS NOT NULL), 'job', j.public_id::text,
        j.name, 'the job ' || j.name || ' sent ' || j.command_name,
        count(m.id), count(*)
    FROM commands_job j
    JOIN commands_jobtarget t ON t.job_id = j.id
    JOIN commands_command c ON c.id = t.command_id
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = t.device_id
    WHERE j.tenant_id = %s AND c.sent_at > %s AND c.sent_at <= %s
    GROUP BY j.id HAVING count(m.id) > 0
"""
_COMMANDS: LiteralString = """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c.sent_at)
            FILTER (WHERE m.id IS NOT NULL), 'command', c.name, c.name,
        'the command ' || c.name || ' was sent', count(DISTINCT m.id),
        count(DISTINCT c.device_id)
    FROM commands_command c
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = c.device_id
    WHERE c.tenant_id = %s AND c.sent_at > %s AND c.sent_at <= %s AND c.job_id IS NULL
        AND c.created_at > %s
    GROUP BY c.name, c.params HAVING count(m.id) > 0
"""


def list_job_changes(
    *, tenant_id: int, members: Sequence[int], since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """Return the jobs and the single commands that were sent in this time."""
    given = [list(members), tenant_id, since, until]
    rows = bulk_sql.fetch(_JOBS, given) + bulk_sql.fetch(_COMMANDS, [*given, since])
    return [tuple(row) for row in rows]
