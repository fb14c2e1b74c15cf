"""What people edited in a time, for what was changed before an incident.

Each row: at, kind, id, name, text, how many of the given devices, how many in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

from iotplatform.common import bulk_sql

# The same edit of many devices is one change. One of a gateway is one of its children.
_DEVICES: LiteralString = """
    SELECT max(e.at) FILTER (WHERE m.id IS NOT NULL), 'device', min(e.object_id),
        min(e.object_name),
        CASE WHEN count(DISTINCT e.device_id) = 1 THEN min(e.object_name)
            ELSE count(DISTINCT e.device_id) || ' devices' END
            || ' edited by ' || e.actor,
        count(DISTINCT m.id), count(DISTINCT d.id)
    FROM registry_auditentry e
    JOIN registry_device d ON d.id = e.device_id OR d.gateway_id = e.device_id
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = d.id
    WHERE e.tenant_id = %s AND e.at > %s AND e.at <= %s AND e.kind = 'device'
        AND e.action = 'changed'
    GROUP BY e.actor, e.after HAVING count(m.id) > 0
"""
_PLACES: LiteralString = """
    SELECT max(e.at), e.kind, e.object_id, e.object_name,
        e.kind || ' ' || e.object_name || ' edited by ' || max(e.actor),
        count(DISTINCT m.id), count(DISTINCT d.id)
    FROM registry_auditentry e
    LEFT JOIN registry_site s ON e.kind = 'site' AND s.public_id::text = e.object_id
    LEFT JOIN registry_product p
        ON e.kind = 'product' AND p.public_id::text = e.object_id
    JOIN registry_device d ON d.site_id = s.id OR d.product_id = p.id
    LEFT JOIN unnest(%s::bigint[]) m(id) ON m.id = d.id
    WHERE e.tenant_id = %s AND e.at > %s AND e.at <= %s
        AND e.kind IN ('site', 'product') AND e.action = 'changed'
    GROUP BY e.kind, e.object_id, e.object_name HAVING count(m.id) > 0
"""


def list_edits_before(
    *, tenant_id: int, members: Sequence[int], since: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """Return the edits of devices, gateways, sites and products in this time."""
    given = [list(members), tenant_id, since, until]
    both = f"({_DEVICES}) UNION ALL ({_PLACES})"
    return [tuple(row) for row in bulk_sql.fetch(both, given * 2)]
