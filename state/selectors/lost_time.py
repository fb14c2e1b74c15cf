"""How long devices were in service and not online, each moment with one cause.

Times are ranges, and causes are taken from them in one order: what is explained by the
platform is subtracted before maintenance is looked at, and so on. So the causes add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from iotplatform.common import bulk_sql
from registry.selectors.access import sql_within

if TYPE_CHECKING:
    from registry.models import Tenant

# In the order in which they explain a moment.
CAUSES = (
    "platform",
    "maintenance",
    "job",
    "adapter",
    "gateway",
    "site",
    "unknown",
    "device",
)
# Of an incident, told by the caller.
EXPLAINED = ("job", "adapter", "gateway", "site")

# A place is a tenant's site and one of the projects there (0: none): what a member may
# be limited to. Of each place, some times are wanted. Devices are found by their sites
# alone: the planner knows how many these are, and would expect one of a joined list.
_WANTED = """
    wanted AS MATERIALIZED (
        SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[],
            %s::timestamptz[], %s::timestamptz[])
            AS v(tenant_id, site_id, project_id, from_at, until)
    ),
    whole AS (SELECT tstzmultirange(tstzrange(%s, %s)) AS of),
    d AS MATERIALIZED (
        SELECT id, tenant_id, site_id, coalesce(project_id, 0) AS project_id,
            created_at, lifecycle
        FROM registry_device WHERE site_id = ANY(%s)
    )
"""
# In service: by the log of lifecycle moves; before the first one since registration.
_ACTIVE = """
    moves AS MATERIALIZED (
        SELECT m.device_id, m.at, m.moved_from, m.moved_to,
            lead(m.at) OVER w AS next_at, row_number() OVER w AS place
        FROM registry_lifecyclemove m
        JOIN d ON d.id = m.device_id AND d.tenant_id = m.tenant_id
        WINDOW w AS (PARTITION BY m.device_id ORDER BY m.at, m.id)
    ),
    active AS MATERIALIZED (
        SELECT device_id, range_agg(r) AS of FROM (
            SELECT device_id, tstzrange(at, next_at) AS r FROM moves
            WHERE moved_to = 'active'
            UNION ALL
            SELECT d.id, tstzrange(least(d.created_at, m.at), m.at)
            FROM moves m JOIN d ON d.id = m.device_id
            WHERE m.place = 1 AND m.moved_from = 'active'
        ) found GROUP BY device_id
        UNION ALL
        SELECT d.id, tstzmultirange(tstzrange(d.created_at, NULL)) FROM d
        WHERE d.lifecycle = 'active'
            AND NOT EXISTS (SELECT FROM moves m WHERE m.device_id = d.id)
    )
"""
# The state before the first change is the one that this change names; without any
# change it is the present one.
_STATES = """
    changes AS MATERIALIZED (
        SELECT c.device_id, c.at, c.moved_to, c.cause, c.moved_from, c.cause_from,
            lead(c.at) OVER w AS next_at, row_number() OVER w AS place
        FROM state_connectivitytransition c
        JOIN d ON d.id = c.device_id AND d.tenant_id = c.tenant_id
        WHERE c.at >= %s
        WINDOW w AS (PARTITION BY c.device_id ORDER BY c.at, c.id)
    ),
    states AS (
        SELECT device_id, tstzrange(at, next_at) AS r, moved_to AS state, cause
        FROM changes WHERE moved_to <> 'online'
        UNION ALL
        SELECT device_id, tstzrange(NULL, at), moved_from, cause_from FROM changes
        WHERE place = 1 AND moved_from <> 'online'
        UNION ALL
        SELECT d.id, tstzrange(NULL, NULL), coalesce(p.connectivity, 'offline'),
            coalesce(p.cause, 'never_connected')
        FROM d LEFT JOIN state_presence p ON p.device_id = d.id
        WHERE coalesce(p.connectivity, 'offline') <> 'online'
            AND NOT EXISTS (SELECT FROM changes c WHERE c.device_id = d.id)
    ),
    lost AS MATERIALIZED (
        SELECT d.*, a.of * l.whole * (SELECT of FROM whole) AS of,
            l.blind, l.gateway, l.unknown
        FROM (
            SELECT device_id, range_agg(r) AS whole,
                range_agg(r) FILTER (WHERE cause = 'platform_blind') AS blind,
                range_agg(r) FILTER (WHERE cause = 'gateway_offline') AS gateway,
                range_agg(r) FILTER (WHERE cause IN ('', 'never_connected')) AS unknown
            FROM states GROUP BY device_id
        ) l
        JOIN d ON d.id = l.device_id JOIN active a ON a.device_id = l.device_id
    )
"""
_EXPLAINED = """
    work AS MATERIALIZED (
        SELECT found.id, range_agg(found.r) FILTER (WHERE w.origin = '') AS people,
            range_agg(found.r) FILTER (WHERE w.origin <> '') AS jobs
        FROM (
            SELECT l.id, p.window_id, tstzrange(p.from_at, p.until) AS r
            FROM lost l JOIN state_maintenanceplace p
                ON p.device_id = l.id AND p.tenant_id = l.tenant_id
            UNION ALL
            SELECT l.id, p.window_id, tstzrange(p.from_at, p.until) AS r
            FROM lost l JOIN state_maintenanceplace p
                ON p.site_id = l.site_id AND p.tenant_id = l.tenant_id
        ) found
        JOIN state_maintenancewindow w ON w.id = found.window_id
        GROUP BY found.id
    ),
    told AS MATERIALIZED (
        SELECT device_id AS id,
            range_agg(r) FILTER (WHERE cause = 'job') AS job,
            range_agg(r) FILTER (WHERE cause = 'adapter') AS adapter,
            range_agg(r) FILTER (WHERE cause = 'gateway') AS gateway,
            range_agg(r) FILTER (WHERE cause = 'site') AS site
        FROM (
            SELECT device_id, cause, tstzrange(since, until) AS r
            FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[])
                AS v(device_id, cause, since, until)
        ) v
        GROUP BY device_id
    ),
    explained AS MATERIALIZED (
        SELECT l.*, w.people, w.jobs, t.job AS told_job, t.adapter,
            t.gateway AS told_gateway, t.site,
            coalesce(l.blind, l.gateway, l.unknown, w.people, w.jobs, t.job, t.adapter,
                t.gateway, t.site) IS NULL AS is_plain
        FROM lost l LEFT JOIN work w USING (id) LEFT JOIN told t USING (id)
    )
"""
# Each step takes its part of what the steps before have left.
_STEPS = (
    ("platform", "l.blind"),
    ("maintenance", "l.people"),
    ("job", "coalesce(l.jobs, '{}') + coalesce(l.told_job, '{}')"),
    ("adapter", "l.adapter"),
    ("gateway", "coalesce(l.gateway, '{}') + coalesce(l.told_gateway, '{}')"),
    ("site", "l.site"),
    ("unknown", "l.unknown"),
)


def _chain() -> tuple[str, str]:
    """Return the laterals that split what is lost, and the parts by cause."""
    laterals, parts, rest = [], [], "l.of"
    for name, explains in _STEPS:
        by = f"coalesce({explains}, '{{}}'::tstzmultirange)"
        laterals.append(
            f"CROSS JOIN LATERAL (SELECT {rest} * {by} AS part, {rest} - {by} AS rest)"
            f" AS x_{name}"
        )
        parts.append(f"('{name}', x_{name}.part)")
        rest = f"x_{name}.rest"
    parts.append(f"('device', {rest})")
    return "\n".join(laterals), ", ".join(parts)


_LATERALS, _BY_CAUSE = _chain()
# Most devices are in service all the time: equal ranges of a place are one row, which
# is then cut by the times that are wanted. What nothing explains is not split.
_PARTS = f"""
    parts AS MATERIALIZED (
        SELECT tenant_id, site_id, project_id, cause, r, count(*) AS devices
        FROM (
            SELECT d.tenant_id, d.site_id, d.project_id, 'active' AS cause,
                unnest(a.of * (SELECT of FROM whole)) AS r
            FROM d JOIN active a ON a.device_id = d.id
            UNION ALL
            SELECT l.tenant_id, l.site_id, l.project_id, part.cause, unnest(part.of)
            FROM explained l
            {_LATERALS}
            CROSS JOIN LATERAL (VALUES {_BY_CAUSE}) AS part(cause, of)
            WHERE NOT l.is_plain AND NOT isempty(part.of)
            UNION ALL
            SELECT tenant_id, site_id, project_id, 'device', unnest(of)
            FROM explained WHERE is_plain
        ) found
        GROUP BY tenant_id, site_id, project_id, cause, r
    )
"""
_SUMS = ", ".join(
    f"coalesce(sum(seconds) FILTER (WHERE cause = '{name}'), 0)"
    for name in ("active", *CAUSES)
)
_REPORT = f"""
    WITH {_WANTED}, {_ACTIVE}, {_STATES}, {_EXPLAINED}, {_PARTS}
    SELECT tenant_id, site_id, project_id, from_at, {_SUMS}
    FROM (
        SELECT w.tenant_id, w.site_id, w.project_id, w.from_at, p.cause,
            p.devices * extract(epoch FROM
                least(upper(p.r), w.until) - greatest(lower(p.r), w.from_at)) AS seconds
        FROM wanted w LEFT JOIN parts p ON p.tenant_id = w.tenant_id
            AND p.site_id = w.site_id AND p.project_id = w.project_id
            AND p.r && tstzrange(w.from_at, w.until)
    ) found
    GROUP BY tenant_id, site_id, project_id, from_at
"""
_PLACES = """
    SELECT d.tenant_id, d.site_id, coalesce(d.project_id, 0), min(d.created_at),
        count(*), min(s.time_zone), bool_or(d.lifecycle = 'active' OR EXISTS (
            SELECT FROM registry_lifecyclemove m
            WHERE m.device_id = d.id AND m.tenant_id = d.tenant_id
                AND 'active' IN (m.moved_from, m.moved_to)))
    FROM registry_device d JOIN registry_site s ON s.id = d.site_id
    WHERE {condition} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Devices of one site and one project of a tenant; project 0: they have none."""

    tenant_id: int
    site_id: int
    project_id: int


@dataclass(frozen=True, slots=True)
class PlaceSize:
    """A place with its devices: since when, how many, and if any ever served."""

    place: Place
    began_at: datetime
    devices: int
    time_zone: str
    has_served: bool


@dataclass(frozen=True, slots=True)
class LostTime:
    """Seconds in service of the devices of a place, and those lost, by cause."""

    place: Place
    from_at: datetime
    active_seconds: float
    lost_seconds: dict[str, float]


# (device, one of EXPLAINED, since, until): the incidents that explain a moment.
Told = tuple[int, str, datetime, datetime | None]
# From, until; the times of a place begin at different moments.
Span = tuple[Place, datetime, datetime]


def get_lost_time(*, spans: Sequence[Span], told: Sequence[Told]) -> list[LostTime]:
    """Return the time of all devices of the places in each span, in one statement.

    Who may see a place is the caller's to know: ``list_places`` says it.
    """
    if not spans:
        return []
    statement: Any = _REPORT
    wanted = [
        (place.tenant_id, place.site_id, place.project_id, from_at, until)
        for place, from_at, until in spans
    ]
    since, until = min(row[3] for row in wanted), max(row[4] for row in wanted)
    sites = list({place.site_id for place, _, _ in spans})
    given = [
        *(*bulk_sql.columns_of(wanted, 5), since, until, sites),
        *(since, *bulk_sql.columns_of(told, 4)),
    ]
    return [
        LostTime(
            Place(tenant_id, site_id, project_id),
            from_at,
            float(active),
            {cause: float(part) for cause, part in zip(CAUSES, parts, strict=True)},
        )
        for tenant_id, site_id, project_id, from_at, active, *parts in bulk_sql.fetch(
            statement, given
        )
    ]


def list_places(*, tenants: Sequence[Tenant], site: str | None) -> list[PlaceSize]:
    """Return the places that the caller may access, of one site if it is named."""
    condition, values = sql_within(tenants, "d")
    if site is not None:
        condition, values = f"{condition} AND s.slug = %s", [*values, site]
    return _places(condition, values)


def list_places_across_tenants() -> list[PlaceSize]:
    """Return all places with devices."""
    return _places("true", [])


def _places(condition: str, values: list[Any]) -> list[PlaceSize]:
    statement: Any = _PLACES.format(condition=condition)
    return [
        PlaceSize(Place(*row[:3]), *row[3:])
        for row in bulk_sql.fetch(statement, values)
    ]
