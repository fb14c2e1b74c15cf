"""The devices that a query found at one moment and not at another, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from fleet.backends.documents import rfc3339
from fleet.query.judge import holds
from fleet.query.parser import parse
from fleet.query.sql import SqlCompiler
from fleet.query.tree import Condition, conditions_of
from fleet.selectors.past_fleet import (
    KNOWN,
    check_moment,
    check_tree,
    list_values,
    past_fleet,
)
from iotplatform.common.instants import read_instant
from iotplatform.common.problems import BadInput
from registry.models import Tenant

CHANGES_SQL = """
    WITH both_moments AS MATERIALIZED (
        SELECT before, after, coalesce(before.found, FALSE) AS was_found,
            coalesce(after.found, FALSE) AS is_found
        FROM (SELECT fleet.*, {condition} AS found FROM ({before}) fleet) before
        FULL JOIN (SELECT fleet.*, {condition} AS found FROM ({after}) fleet) after
            ON after.id = before.id
        WHERE before.found OR after.found
    )
    SELECT (SELECT count(*) FROM both_moments WHERE was_found AND is_found),
        (SELECT json_agg(json_build_array(before, after)
            ORDER BY coalesce((before).uid, (after).uid) COLLATE "C")::text
        FROM both_moments WHERE was_found <> is_found)
"""
# The last time before `to` at which a field was something else than it is at `to`. The
# devices come as arrays, so that the planner knows how many there are.
TIMES_SQL = """
    WITH moved AS (
        SELECT * FROM unnest(%(ids)s::bigint[], %(sites)s::bigint[],
            %(owners)s::bigint[], %(lifecycle)s::text[], %(connectivity)s::text[],
            %(cause)s::text[], %(firmware)s::text[], %(config_version)s::text[])
        AS m(id, site_id, tenant_id, lifecycle, connectivity, cause, firmware,
            config_version)
    ), devices AS (
        SELECT m.id, max(p.until) AS at,
            max(p.until) FILTER (WHERE p.tenant_id <> m.tenant_id) AS tenant,
            max(p.until) FILTER (WHERE p.site_id <> m.site_id) AS site,
            max(p.until) FILTER (WHERE p.lifecycle <> m.lifecycle) AS lifecycle
        FROM moved m JOIN registry_pastdevice p ON p.device_id = m.id
        WHERE p.until > %(from)s AND p.until <= %(to)s
            AND p.tenant_id = ANY(%(tenants)s)
        GROUP BY m.id
    ), presences AS (
        SELECT m.id,
            max(p.at) FILTER (WHERE p.moved_from <> m.connectivity) AS connectivity,
            max(p.at) FILTER (WHERE p.cause_from <> m.cause) AS cause
        FROM moved m JOIN state_connectivitytransition p ON p.device_id = m.id
        WHERE p.at > %(from)s AND p.at <= %(to)s AND p.tenant_id = ANY(%(tenants)s)
        GROUP BY m.id
    ), twins AS (
        SELECT m.id, max(p.until) FILTER (WHERE p.firmware <> m.firmware) AS firmware,
            max(p.until) FILTER (WHERE p.config_version <> m.config_version)
                AS config_version
        FROM moved m JOIN state_pasttwin p ON p.device_id = m.id
        WHERE p.until > %(from)s AND p.until <= %(to)s
            AND p.tenant_id = ANY(%(tenants)s)
        GROUP BY m.id
    ), alarms AS (
        SELECT m.id, max(greatest(
            CASE WHEN p.raised_at > %(from)s AND p.raised_at <= %(to)s
                THEN p.raised_at END,
            CASE WHEN p.cleared_at > %(from)s AND p.cleared_at <= %(to)s
                THEN p.cleared_at END)) AS alarms
        FROM moved m JOIN state_alarm p ON p.device_id = m.id
        WHERE p.raised_at <= %(to)s
            AND (p.state <> 'cleared' OR p.cleared_at > %(from)s)
        GROUP BY m.id
    )
    SELECT m.id, d.at AS place, d.tenant, d.site, d.lifecycle, p.connectivity, p.cause,
        t.firmware, t.config_version, a.alarms
    FROM moved m
    LEFT JOIN devices d ON d.id = m.id LEFT JOIN presences p ON p.id = m.id
    LEFT JOIN twins t ON t.id = m.id LEFT JOIN alarms a ON a.id = m.id
"""
Row = dict[str, Any]
Times = dict[str, datetime | None]


@dataclass(frozen=True)
class Mover:
    """A device that joined or left, and the reason in words."""

    uid: str
    reason: str


@dataclass(frozen=True)
class Changes:
    """The difference of the results of a query at two moments."""

    joined: list[Mover]
    left: list[Mover]
    kept: int


def find_changes(
    *, tenants: Sequence[Tenant], q: str, from_at: datetime, to_at: datetime
) -> Changes:
    """Return who matched at only one of two moments, and why.

    Raises QueryError, and BadInput that names ``from`` or ``to``.
    """
    now = timezone.now()
    check_moment(from_at, now=now, parameter="from")
    check_moment(to_at, now=now, parameter="to")
    if to_at < from_at:
        raise BadInput(errors=[{"field": "to", "message": "It is before `from`."}])
    tree = parse(q)
    check_tree(tree)
    conditions = list(conditions_of(tree))
    asked = [node.field for node in conditions if node.field is not None]
    compiler = SqlCompiler(list_values(asked, tenants=tenants, at=from_at))
    condition = compiler.condition(tree)
    before, params = past_fleet(tenants, "from")
    after, _ = past_fleet(tenants, "to")
    params |= {"from": from_at, "to": to_at}
    statement = CHANGES_SQL.format(condition=condition, before=before, after=after)
    with connection.cursor() as cursor:
        cursor.execute(statement, params | compiler.params)
        kept, found = cursor.fetchone()
    moved: list[list[Row | None]] = json.loads(found or "[]")
    times = _times([new or old or {} for old, new in moved], params)
    changes = Changes([], [], kept)
    for old, new in moved:
        row = new or old or {}
        mover = Mover(row["uid"], _reason(conditions, old, new, times[row["id"]]))
        joins = new is not None and new["found"]
        (changes.joined if joins else changes.left).append(mover)
    return changes


def _times(rows: Sequence[Row], params: dict[str, Any]) -> dict[int, Times]:
    """Return when each field of these devices became what it is, by their ids."""
    if not rows:
        return {}
    names = ("lifecycle", "connectivity", "cause", "firmware", "config_version")
    columns: dict[str, Any] = {
        name: [row[name] or "" for row in rows] for name in names
    }
    columns |= {
        "ids": [row["id"] for row in rows],
        "sites": [row["site_id"] for row in rows],
        "owners": [row["tenant_id"] for row in rows],
    }
    with connection.cursor() as cursor:
        cursor.execute(TIMES_SQL, params | columns)
        given = [column.name for column in cursor.description or ()]
        found = [dict(zip(given, row, strict=True)) for row in cursor]
    return {row["id"]: row for row in found}


def _reason(
    conditions: Iterable[Condition],
    old: Row | None,
    new: Row | None,
    times: Times,
) -> str:
    """Return what changed of that for which the query asks."""
    if new is None or old is None:
        return _arrival(old, new, times)
    moved = set(_moved_fields(conditions, old, new))
    return "; ".join(
        f"{name} changed from {_shown(old[name])} to {_shown(new[name])}"
        f" at {_instant(times[name])}"
        for name in KNOWN
        if name in moved
    )


def _moved_fields(conditions: Iterable[Condition], old: Row, new: Row) -> Iterator[str]:
    """Yield the fields of the conditions that held at one of the moments only."""
    for condition in conditions:
        assert condition.field is not None
        name = condition.field.name
        if holds(condition, old[name]) != holds(condition, new[name]):
            yield name


def _arrival(
    old: Row | None,
    new: Row | None,
    times: Times,
) -> str:
    """Return why a device was there at one of the moments only."""
    if new is None:
        return f"left the tenant or what you may access at {_instant(times['place'])}"
    if times["place"] is None:
        registered = read_instant(new["created_at"])
        return f"registered at {_instant(registered)}"
    return f"came to the tenant or what you may access at {_instant(times['place'])}"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _instant(moment: datetime | None) -> str:
    return rfc3339(moment) if moment else "an unknown time"
