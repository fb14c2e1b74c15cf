"""How soon the incidents of each site were acknowledged and resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection

from console.selectors.incidents import list_incidents
from registry.selectors.access import sql_within

if TYPE_CHECKING:
    from registry.models import Tenant

# A clock ends with the cause: ``calm_since``. What was over before anybody had to act
# was acknowledged in time, too.
_FIGURES = """
    WITH opened AS (
        SELECT i.* FROM console_incident i WHERE i.id IN ({opened})
    ), clocks AS (
        SELECT c.incident_id AS id,
            sum(coalesce(c.until, now()) - c.from_at) AS run,
            sum(greatest(least(coalesce(c.until, now()), o.acknowledged_at), c.from_at)
                - c.from_at) FILTER (WHERE o.acknowledged_at IS NOT NULL) AS acted
        FROM console_incidentinterval c JOIN opened o ON o.id = c.incident_id
        GROUP BY c.incident_id
    ), places AS (
        SELECT DISTINCT m.tenant_id, d.site_id, m.incident_id AS id
        FROM console_incidentmember m JOIN registry_device d ON d.id = m.device_id
        WHERE m.incident_id IN (SELECT id FROM opened) AND {access}
    )
    SELECT p.tenant_id, p.site_id, count(*),
        count(*) FILTER (WHERE o.resolve_due_at IS NOT NULL),
        count(*) FILTER (WHERE coalesce(o.acknowledged_at, o.resolved_at)
            <= o.acknowledge_due_at),
        count(*) FILTER (WHERE o.resolved_at IS NOT NULL
            AND coalesce(o.calm_since, o.resolved_at) <= o.resolve_due_at),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM c.acted)),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM c.run))
            FILTER (WHERE o.resolved_at IS NOT NULL)
    FROM places p JOIN opened o USING (id) LEFT JOIN clocks c USING (id)
    GROUP BY p.tenant_id, p.site_id
"""


@dataclass(frozen=True)
class IncidentFigures:
    """Incidents that opened in a time; null: none had a policy, or none got so far."""

    count: int = 0
    acknowledged_in_time: int | None = None
    resolved_in_time: int | None = None
    median_acknowledge_seconds: float | None = None
    median_resolve_seconds: float | None = None


def get_incident_figures(
    *, tenants: Sequence[Tenant], since: datetime, until: datetime
) -> dict[tuple[int, int], IncidentFigures]:
    """Return the figures of each (tenant, site) that an incident had a device at."""
    if not tenants:
        return {}
    rows = list_incidents(tenants=tenants).filter(
        opened_at__gte=since, opened_at__lt=until
    )
    opened, chosen = rows.order_by().values("pk").query.sql_with_params()
    access, values = sql_within(tenants, "d")
    statement = _FIGURES.replace("{opened}", opened).replace("{access}", access)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*chosen, *values])
        return {(row[0], row[1]): _figures(*row[2:]) for row in cursor.fetchall()}


def _figures(
    count: int,
    bound: int,
    acknowledged: int,
    resolved: int,
    *medians: Any,
) -> IncidentFigures:
    in_time = (acknowledged, resolved) if bound else (None, None)
    seconds = [None if each is None else float(each) for each in medians]
    return IncidentFigures(count, *in_time, *seconds)
