"""How the commands of each site ended in a time, for the SLA report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from iotplatform.common import bulk_sql
from registry.selectors.access import sql_within

if TYPE_CHECKING:
    from registry.models import Tenant

# A cancelled or superseded command is neither a success nor a failure. The latency is
# from the broker's receipt to the device's.
_FIGURES = """
    SELECT d.tenant_id, d.site_id, count(*),
        count(*) FILTER (WHERE c.status IN ('succeeded', 'verified')),
        percentile_cont(0.5) WITHIN GROUP (ORDER BY
            extract(epoch FROM c.received_at - c.sent_at) * 1000),
        percentile_cont(0.95) WITHIN GROUP (ORDER BY
            extract(epoch FROM c.received_at - c.sent_at) * 1000)
    FROM commands_command c JOIN registry_device d ON d.id = c.device_id
    WHERE {access} AND c.tenant_id = d.tenant_id AND c.ended_at >= %s
        AND c.ended_at < %s AND c.status NOT IN ('cancelled', 'superseded')
    GROUP BY d.tenant_id, d.site_id
"""


@dataclass(frozen=True)
class SiteFigures:
    """Commands that ended: how many, the share that succeeded, how fast they were."""

    count: int
    succeeded_share: float | None  # null: no command ended
    latency_p50_ms: float | None
    latency_p95_ms: float | None


def get_site_figures(
    *, tenants: Sequence[Tenant], since: datetime, until: datetime
) -> dict[tuple[int, int], SiteFigures]:
    """Return the figures of each (tenant, site) with a command that ended then."""
    access, values = sql_within(tenants, "d")
    statement: Any = _FIGURES.replace("{access}", access)
    rows = bulk_sql.fetch(statement, [*values, since, until])
    return {
        (tenant_id, site_id): SiteFigures(count, succeeded / count, p50, p95)
        for tenant_id, site_id, count, succeeded, p50, p95 in rows
    }
