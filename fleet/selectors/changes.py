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

# The last time before `to` at which a field was something else than it is at `to`.
CHANGES_SQL = """
    WITH both_moments AS (
        SELECT before, after, coalesce(before.id, after.id) AS id,
            coalesce(before.found, FALSE) AS was_found,
            coalesce(after.found, FALSE) AS is_found
        FROM (SELECT fleet.*, {condition} AS found FROM ({before}) fleet) before
        FULL JOIN (SELECT fleet.*, {condition} AS found FROM ({after}) fleet) after
            ON after.id = before.id
        WHERE before.found OR after.found
    ), moved AS MATERIALIZED (
        SELECT * FROM both_moments WHERE was_found <> is_found
    ), devices AS (
        SELECT m.id, max(p.until) AS at,
            max(p.until) FILTER (WHERE p.tenant_id <> (m.after).tenant_id) AS tenant,
            max(p.until) FILTER (WHERE p.site_id <> (m.after).site_id) AS site,
            max(p.until) FILTER (WHERE p.lifecycle <> (m.after).lifecycle) AS lifecycle
        FROM moved m JOIN registry_pastdevice p ON p.device_id = m.id
        WHERE p.until > %(from)s AND p.until <= %(to)s
            AND p.tenant_id = ANY(%(tenants)s)
        GROUP BY m.id
    ), presences AS (
        SELECT m.id,
            max(p.at) FILTER (WHERE p.moved_from <> (m.after).connectivity)
                AS connectivity,
            max(p.at) FILTER (WHERE p.cause_from <> coalesce((m.after).cause, ''))
                AS cause
        FROM moved m JOIN state_connectivitytransition p ON p.device_id = m.id
        WHERE p.at > %(from)s AND p.at <= %(to)s
            AND p.tenant_id = ANY(%(tenants)s)
        GROUP BY m.id
    ), twins AS (
        SELECT m.id,
            max(p.until) FILTER (WHERE p.firmware <> coalesce((m.after).firmware, ''))
                AS firmware,
            max(p.until) FILTER (
                WHERE p.config_version <> coalesce((m.after).config_version, '')
            ) AS config_version
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
    SELECT (SELECT count(*) FROM both_moments WHERE was_found AND is_found),
        (SELECT json_agg(json_build_array(m.is_found, m.before, m.after,
                json_build_object('tenant', d.tenant, 'site', d.site, 'place', d.at,
                    'lifecycle', d.lifecycle, 'connectivity', p.connectivity,
                    'cause', p.cause, 'firmware', t.firmware,
                    'config_version', t.config_version, 'alarms', a.alarms))
            ORDER BY coalesce((m.before).uid, (m.after).uid) COLLATE "C")::text
        FROM moved m
        LEFT JOIN devices d ON d.id = m.id LEFT JOIN presences p ON p.id = m.id
        LEFT JOIN twins t ON t.id = m.id LEFT JOIN alarms a ON a.id = m.id)
"""


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
    statement = CHANGES_SQL.format(condition=condition, before=before, after=after)
    with connection.cursor() as cursor:
        cursor.execute(
            statement, params | compiler.params | {"from": from_at, "to": to_at}
        )
        kept, rows = cursor.fetchone()
    changes = Changes([], [], kept)
    for joins, old, new, times in json.loads(rows or "[]"):
        mover = Mover((old or new)["uid"], _reason(conditions, old, new, times))
        (changes.joined if joins else changes.left).append(mover)
    return changes


def _reason(
    conditions: Iterable[Condition],
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    times: dict[str, str | None],
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


def _moved_fields(
    conditions: Iterable[Condition], old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    """Yield the fields of the conditions that held at one of the moments only."""
    for condition in conditions:
        assert condition.field is not None
        name = condition.field.name
        if holds(condition, old[name]) != holds(condition, new[name]):
            yield name


def _arrival(
    old: dict[str, Any] | None,
    new: dict[str, Any] | None,
    times: dict[str, str | None],
) -> str:
    """Return why a device was there at one of the moments only."""
    if new is None:
        return f"left the tenant or what you may access at {_instant(times['place'])}"
    if times["place"] is None:
        return f"registered at {_instant(new['created_at'])}"
    return f"came to the tenant or what you may access at {_instant(times['place'])}"


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def _instant(text: str | None) -> str:
    moment = read_instant(text) if text else None
    return rfc3339(moment) if moment else "an unknown time"
