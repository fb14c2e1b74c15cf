"""What changed at devices in a time: firmware, configuration, rules, maintenance.

Each row: at, kind, id, name, text, how many of the given devices, how many in all. The
time is the median of the given devices: one latecomer does not make a change recent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from iotplatform.common import bulk_sql

_FIRMWARE: LiteralString = """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c.at)
            FILTER (WHERE m.id IS NOT NULL), 'firmware',
        c.changes -> 'firmware' ->> 'to', c.changes -> 'firmware' ->> 'to',
        'the firmware became ' || (c.changes -> 'firmware' ->> 'to'),
        count(DISTINCT m.id), count(DISTINCT c.device_id)
    FROM state_twinchange c LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = c.device_id
    WHERE c.tenant_id = %s AND c.at > %s AND c.at <= %s AND c.side = 'reported'
        AND c.changes -> 'firmware' ->> 'to' IS NOT NULL
    GROUP BY c.changes -> 'firmware' ->> 'to' HAVING count(m.id) > 0
"""
_WANTED: LiteralString = """
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY c.at)
            FILTER (WHERE m.id IS NOT NULL), 'config', md5(c.changes::text),
        string_agg(DISTINCT key, ', '),
        'the wanted configuration changed: ' || string_agg(DISTINCT key, ', '),
        count(DISTINCT m.id), count(DISTINCT c.device_id)
    FROM state_twinchange c
    CROSS JOIN LATERAL jsonb_object_keys(c.changes) key
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = c.device_id
    WHERE c.tenant_id = %s AND c.at > %s AND c.at <= %s AND c.side = 'desired'
    GROUP BY c.changes HAVING count(m.id) > 0
"""
_WINDOWS: LiteralString = """
    SELECT max(w.from_at), 'maintenance', w.public_id::text, w.reason,
        'maintenance: ' || w.reason, count(DISTINCT m.id), count(DISTINCT d.id)
    FROM state_maintenancewindow w
    JOIN state_maintenanceplace p ON p.window_id = w.id
    JOIN registry_device d ON d.id = p.device_id OR d.site_id = p.site_id
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = d.id
    WHERE w.tenant_id = %s AND w.from_at > %s AND w.from_at <= %s AND w.origin = ''
    GROUP BY w.id HAVING count(m.id) > 0
"""
_RULES: LiteralString = """
    SELECT max(e.at), 'rule', r.public_id::text, r.name,
        'the alarm rule ' || r.name || ' was ' || max(e.action),
        count(DISTINCT m.id), count(DISTINCT d.id)
    FROM registry_auditentry e
    JOIN state_alarmrule r ON r.public_id::text = e.object_id
    JOIN registry_device d ON d.product_id = r.product_id
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = d.id
    WHERE e.tenant_id = %s AND e.at > %s AND e.at <= %s AND e.kind = 'alarm_rule'
    GROUP BY r.id HAVING count(m.id) > 0
"""


def list_twin_changes(
    *, tenant_id: int, members: Sequence[int], since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """Return what devices reported as new firmware, and what was newly wanted."""
    given = [list(members), tenant_id, since, until]
    both = f"({_FIRMWARE}) UNION ALL ({_WANTED})"
    return [tuple(row) for row in bulk_sql.fetch(both, given * 2)]


def list_window_changes(
    *, tenant_id: int, members: Sequence[int], since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """Return the maintenance that people began, and the rules that they changed."""
    given = [list(members), tenant_id, since, until]
    both = f"({_WINDOWS}) UNION ALL ({_RULES})"
    return [tuple(row) for row in bulk_sql.fetch(both, given * 2)]
