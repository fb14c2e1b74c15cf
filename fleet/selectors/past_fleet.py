"""The fleet at an earlier moment, from the histories of registry and state.

Each history is read backwards: a value was what the first change after the moment moved
away from, and without a change it is what it is today.

Whoever asks sees a device only if they may access it today, by its tenant and place of
today, and if it was at that moment in a tenant and place that they may access today.
What it was in another tenant is theirs alone, and neither tenant sees the other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from fleet.backends.documents import rfc3339
from fleet.exceptions import QueryError
from fleet.fields import FieldRef, Kind
from fleet.query.tree import Node, conditions_of
from iotplatform.common.problems import BadInput
from registry.models import Tenant
from registry.selectors.access import sql_within
from state.models import PastStart

FURTHEST = timedelta(days=30)
# The fields of which a history is kept, in the order of a document.
KNOWN = (
    *("uid", "tenant", "site", "lifecycle", "connectivity", "cause"),
    *("firmware", "config_version", "alarms"),
)
# OFFSET 0 keeps the conditions of the outer query outside: the planner takes them for
# much rarer than they are, and would join the histories device by device.
FLEET_SQL = """
    SELECT th.id, th.uid, th.created_at, th.tenant_id, th.site_id, t.slug AS tenant,
        coalesce(s.slug, nullif(th.site_slug, '')) AS site, th.lifecycle,
        th.connectivity, nullif(th.cause, '') AS cause,
        nullif(th.firmware, '') AS firmware,
        nullif(th.config_version, '') AS config_version,
        CASE WHEN th.alarms_of = th.tenant_id THEN th.alarms ELSE 0 END AS alarms
    FROM (
        SELECT d.id, d.uid, d.created_at,
            coalesce(pd.tenant_id, d.tenant_id) AS tenant_id,
            CASE WHEN pd.id IS NULL THEN d.project_id ELSE pd.project_id END
                AS project_id,
            CASE WHEN pd.id IS NULL THEN d.site_id ELSE pd.site_id END AS site_id,
            pd.site_slug, coalesce(pd.lifecycle, d.lifecycle) AS lifecycle,
            coalesce(ct.moved_from, pr.connectivity, 'offline') AS connectivity,
            coalesce(ct.cause_from, pr.cause, 'never_connected') AS cause,
            coalesce(pt.firmware, tw.firmware) AS firmware,
            coalesce(pt.config_version, tw.config_version) AS config_version,
            a.tenant_id AS alarms_of, a.alarms
        FROM registry_device d
        LEFT JOIN (
            SELECT DISTINCT ON (device_id) * FROM registry_pastdevice
            WHERE until > {at} AND tenant_id = ANY(%(tenants)s)
            ORDER BY device_id, until, (lifecycle = ''), id
        ) pd ON pd.device_id = d.id
        LEFT JOIN state_presence pr ON pr.device_id = d.id
        LEFT JOIN (
            SELECT DISTINCT ON (device_id) device_id, moved_from, cause_from
            FROM state_connectivitytransition
            WHERE at > {at} AND tenant_id = ANY(%(tenants)s)
            ORDER BY device_id, at, id
        ) ct ON ct.device_id = d.id
        LEFT JOIN state_twin tw ON tw.device_id = d.id
        LEFT JOIN (
            SELECT DISTINCT ON (device_id) device_id, firmware, config_version
            FROM state_pasttwin WHERE until > {at} AND tenant_id = ANY(%(tenants)s)
            ORDER BY device_id, until, id
        ) pt ON pt.device_id = d.id
        LEFT JOIN (
            -- All of one owner: a transfer clears the alarms of the old one.
            SELECT device_id, min(tenant_id) AS tenant_id, count(*) AS alarms FROM (
                SELECT device_id, tenant_id FROM state_alarm
                WHERE state <> 'cleared' AND raised_at <= {at}
                UNION ALL
                SELECT device_id, tenant_id FROM state_alarm
                WHERE state = 'cleared' AND cleared_at > {at} AND raised_at <= {at}
            ) open GROUP BY device_id
        ) a ON a.device_id = d.id
        WHERE d.created_at <= {at} AND {today}
        OFFSET 0
    ) th
    JOIN registry_tenant t ON t.id = th.tenant_id
    LEFT JOIN registry_site s ON s.id = th.site_id
    WHERE th.lifecycle <> '' AND {then}
"""
# The values of a field that devices have now, or had after the moment.
VALUES_SQL = {
    "site": """SELECT slug FROM registry_site WHERE tenant_id = ANY(%(tenants)s)
        UNION SELECT site_slug FROM registry_pastdevice
        WHERE until > %(at)s AND tenant_id = ANY(%(tenants)s)""",
    **{
        name: f"""SELECT {name} FROM state_twin WHERE tenant_id = ANY(%(tenants)s)
        UNION SELECT {name} FROM state_pasttwin
        WHERE until > %(at)s AND tenant_id = ANY(%(tenants)s)"""
        for name in ("firmware", "config_version")
    },
}


def check_moment(at: datetime, *, now: datetime, parameter: str) -> None:
    """Raise BadInput if what was then is not known."""
    if at > now:
        message = "This time lies in the future."
    elif at < now - FURTHEST:
        message = f"The fleet of then is known for the last {FURTHEST.days} days."
    elif (start := PastStart.objects.order_by("at").first()) and at < start.at:
        message = f"The past of the fleet is kept since {rfc3339(start.at)}."
    else:
        return
    raise BadInput(errors=[{"field": parameter, "message": message}])


def check_known(ref: FieldRef, *, position: int = 0, source: str = "q") -> None:
    """Raise QueryError if no history of this field is kept."""
    if ref.name not in KNOWN:
        raise QueryError(
            f"What '{ref}' was is not kept. Known of then: {', '.join(KNOWN)}.",
            position,
            field=source,
        )


def check_tree(tree: Node) -> None:
    """Raise QueryError if a condition asks for a field without a history."""
    for node in conditions_of(tree):
        if node.field is None:
            raise QueryError(
                "A word without a field is also searched in name and serial, of which"
                " no history is kept: write uid:….",
                node.position,
                "uid",
            )
        check_known(node.field, position=node.position)


def past_fleet(tenants: Sequence[Tenant], at: str) -> tuple[str, dict[str, Any]]:
    """Return the SELECT of the fleet at the parameter ``at``, and its parameters."""
    today, today_params = _named(*sql_within(tenants, "d"), "today")
    then, then_params = _named(*sql_within(tenants, "th"), "then")
    text = FLEET_SQL.format(at=f"%({at})s", today=today, then=then)
    ids = {"tenants": [tenant.pk for tenant in tenants]}
    return text, ids | today_params | then_params


def list_values(
    refs: Iterable[FieldRef], *, tenants: Sequence[Tenant], at: datetime
) -> dict[str, list[str]]:
    """Return the values of these fields since a moment; not of uid and numbers."""
    found: dict[str, list[str]] = {}
    for ref in refs:
        if ref.name in found or ref.name == "uid" or ref.kind is Kind.NUMBER:
            continue
        if ref.name == "tenant":
            found["tenant"] = [tenant.slug for tenant in tenants]
        elif ref.field.vocabulary:
            found[ref.name] = list(ref.field.vocabulary)
        else:
            params: dict[str, Any] = {
                "tenants": [tenant.pk for tenant in tenants],
                "at": at,
            }
            with connection.cursor() as cursor:
                cursor.execute(VALUES_SQL[ref.name], params)
                found[ref.name] = [value for (value,) in cursor if value]
    return found


def _named(text: str, values: list[Any], prefix: str) -> tuple[str, dict[str, Any]]:
    """Return SQL with named instead of positional parameters."""
    first, *rest = text.split("%s")
    named = {f"{prefix}{place}": value for place, value in enumerate(values)}
    pieces = [f"%({name})s{piece}" for name, piece in zip(named, rest, strict=True)]
    return first + "".join(pieces), named
