"""Alarms held back by maintenance or a rule's hold time: raised when that is over."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from iotplatform.common.ids import new_public_id
from registry.lifecycle import RAISES_ALARMS
from state.models import Alarm
from state.services import bulk
from state.services.rows import lock_rows

BATCH = 1_000  # devices whose presence is locked at a time

_UNDER_MAINTENANCE = """
    SELECT w.device_id FROM state_maintenancewindow w
    WHERE w.device_id = ANY(%s) AND w.from_at <= %s AND w.until > %s
    UNION
    SELECT d.id FROM registry_device d
    JOIN state_maintenancewindow w ON w.site_id = d.site_id
    WHERE d.id = ANY(%s) AND w.from_at <= %s AND w.until > %s
"""
_HOLD = """
    INSERT INTO state_heldalarm AS h
        (tenant_id, device_id, code, severity, message, count, last_at,
        due_at)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[],
        %s::text[], %s::integer[], %s::timestamptz[], %s::timestamptz[])
    ON CONFLICT (device_id, code) DO UPDATE SET
        severity = excluded.severity, count = h.count + excluded.count,
        message = coalesce(nullif(excluded.message, ''), h.message),
        last_at = greatest(h.last_at, excluded.last_at)
"""
_FORGET = """
    DELETE FROM state_heldalarm h
    USING unnest(%s::bigint[], %s::text[]) AS v(device_id, code)
    WHERE h.device_id = v.device_id AND h.code = v.code
"""
_OVER = """
    SELECT h.device_id FROM state_heldalarm h
    JOIN registry_device d ON d.id = h.device_id
    WHERE (h.due_at IS NULL OR h.due_at <= %s)
        AND NOT EXISTS (SELECT FROM state_maintenancewindow w
            WHERE w.device_id = h.device_id AND w.from_at <= %s AND w.until > %s)
        AND NOT EXISTS (SELECT FROM state_maintenancewindow w
            WHERE w.site_id = d.site_id AND w.from_at <= %s AND w.until > %s)
    GROUP BY h.device_id ORDER BY h.device_id LIMIT %s
"""
_RELEASE = """
    DELETE FROM state_heldalarm h USING registry_device d
    WHERE h.device_id = ANY(%s) AND d.id = h.device_id
        AND (h.due_at IS NULL OR h.due_at <= %s)
    RETURNING h.device_id, h.tenant_id, h.code, h.severity, h.message, h.count,
        h.last_at, d.lifecycle
"""


@dataclass(slots=True)
class Held:
    """A complaint that is no alarm yet."""

    tenant_id: int
    device_id: int
    code: str
    severity: str
    message: str
    count: int
    last_at: datetime
    due_at: datetime | None


def under_maintenance(device_ids: Collection[int], *, now: datetime) -> set[int]:
    """Return those of these devices at which somebody works, by one query."""
    ids = sorted(device_ids)
    if not ids:
        return set()
    params = [ids, now, now, ids, now, now]
    return {row[0] for row in bulk.fetch(_UNDER_MAINTENANCE, params)}


def hold(rows: Sequence[Held]) -> None:
    """Keep complaints until they may be alarms; one a device and code."""
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: (row.device_id, row.code))
    values = [
        (
            *(r.tenant_id, r.device_id, r.code, r.severity),
            *(r.message, r.count, r.last_at, r.due_at),
        )
        for r in ordered
    ]
    bulk.run(_HOLD, bulk.columns_of(values, 8))


def forget(keys: Collection[tuple[int, str]]) -> None:
    """Drop what devices no longer complain about."""
    if keys:
        bulk.run(_FORGET, bulk.columns_of(sorted(keys), 2))


def raise_held_across_tenants(*, now: datetime) -> int:
    """Raise what outlasted maintenance, a batch at a time; return how many alarms."""
    total = 0
    while due := [row[0] for row in bulk.fetch(_OVER, [*[now] * 5, BATCH])]:
        total += _raise(due, now=now)
    return total


@transaction.atomic
def _raise(device_ids: list[int], *, now: datetime) -> int:
    """Raise what these devices still complain about.

    The presence rows are locked first, as by ingest: nobody else raises meanwhile.
    """
    lock_rows(device_ids)
    # What left service meanwhile complains no more; its held rows go all the same.
    released = [
        row[:-1]
        for row in bulk.fetch(_RELEASE, [device_ids, now])
        if row[-1] in RAISES_ALARMS
    ]
    raised = [
        Alarm(
            public_id=new_public_id(),
            tenant_id=tenant_id,
            device_id=device_id,
            code=code,
            severity=severity,
            message=message,
            count=count,
            raised_at=now,
            last_at=last_at,
        )
        for device_id, tenant_id, code, severity, message, count, last_at in released
    ]
    Alarm.objects.bulk_create(raised, ignore_conflicts=True)
    return len(raised)
