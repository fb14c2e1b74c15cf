"""Alarms held back by maintenance or a rule's hold time: raised when that is over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter

from django.db import transaction

from iotplatform.common import bulk_sql
from iotplatform.common.batches import until_drained
from iotplatform.common.ids import new_public_id
from registry.choices import RAISES_ALARMS
from state.choices import AlarmMove, AlarmReason
from state.models import Alarm, HeldAlarm
from state.selectors.adapter_liveness import (
    AdapterName,
    blind_since_by_adapter,
    blind_spans_by_adapter,
)
from state.services.alarms import flapping
from state.services.alarms.changes import AlarmBatch, lock_open
from state.services.alarms.flapping import Key, RecentRaises
from state.services.alarms.signal import Signal
from state.services.presence.evidence import FUTURE_TOLERANCE

BATCH = 1_000  # devices whose presence is locked at a time: a bridge waits some 50 ms
BATCHES_A_RUN = 50  # the rest follows a second later
# Check during maintenance too: a device may be moved out of a site in long work.
CHECK_EVERY = timedelta(minutes=5)

_UNDER_MAINTENANCE = """
    SELECT device_id, max(until) FROM (
        SELECT w.device_id, w.until FROM state_maintenanceplace w
        WHERE w.device_id = ANY(%s) AND w.from_at <= %s AND w.until > %s
        UNION ALL
        SELECT d.id, w.until FROM registry_device d
        JOIN state_maintenanceplace w ON w.site_id = d.site_id
        WHERE d.id = ANY(%s) AND w.from_at <= %s AND w.until > %s
    ) in_force GROUP BY device_id
"""
_HELD_COLUMNS = (
    *("tenant_id", "device_id", "code", "severity", "message", "count"),
    *("last_at", "heard_at", "rule_id", "due_at", "look_at"),
)
_HOLD = f"""
    {bulk_sql.insert_rows(HeldAlarm, *_HELD_COLUMNS)}
    ON CONFLICT (device_id, code) DO UPDATE SET
        severity = excluded.severity, count = t.count + excluded.count,
        message = coalesce(nullif(excluded.message, ''), t.message),
        last_at = greatest(t.last_at, excluded.last_at),
        heard_at = greatest(t.heard_at, excluded.heard_at)
"""
_FORGET = f"""
    DELETE FROM state_heldalarm h
    USING {bulk_sql.unnest(HeldAlarm, "device_id", "code")}
    WHERE h.device_id = v.device_id AND h.code = v.code
"""
_DUE = """
    SELECT DISTINCT device_id FROM state_heldalarm
    WHERE look_at <= %s AND device_id > %s ORDER BY device_id LIMIT %s
"""
# Presence rows are locked first, as in ingest; rows locked by others are skipped.
_LOCK_PRESENCE = """
    SELECT device_id FROM state_presence WHERE device_id = ANY(%s)
    ORDER BY device_id FOR UPDATE SKIP LOCKED
"""
_LOOK_LATER = """
    UPDATE state_heldalarm h SET look_at = greatest(h.due_at, least(v.until, %s))
    FROM unnest(%s::bigint[], %s::timestamptz[]) AS v(device_id, until)
    WHERE h.device_id = v.device_id AND h.look_at <= %s
"""
# Only for rules, which have a hold time; a null rule is a device's own event.
_RESTART_HOLD = """
    UPDATE state_heldalarm h SET due_at = v.heard_from + r.hold_seconds * interval '1s',
        look_at = v.heard_from + r.hold_seconds * interval '1s'
    FROM registry_device d, state_alarmrule r,
        unnest(%s::text[], %s::timestamptz[]) AS v(adapter, heard_from)
    WHERE h.device_id = ANY(%s) AND h.look_at <= %s AND d.id = h.device_id
        AND d.adapter = v.adapter AND r.id = h.rule_id AND h.heard_at < v.heard_from
        AND v.heard_from + r.hold_seconds * interval '1s' > %s
"""
# A hold by a clock that has been set back would last too long: it starts again now, so
# no hold time is longer than its rule asks.
_SET_BACK = """
    WITH ahead AS MATERIALIZED (
        SELECT h.id, coalesce(r.hold_seconds, 0) * interval '1s' AS hold
        FROM state_heldalarm h LEFT JOIN state_alarmrule r ON r.id = h.rule_id
        WHERE greatest(h.heard_at, h.due_at - coalesce(r.hold_seconds, 0)
            * interval '1s') > %s
        ORDER BY h.device_id, h.code LIMIT %s FOR UPDATE OF h SKIP LOCKED
    )
    UPDATE state_heldalarm h SET heard_at = least(h.heard_at, v.now),
        last_at = least(h.last_at, v.now),
        due_at = v.now + ahead.hold, look_at = v.now + ahead.hold
    FROM ahead, (SELECT %s::timestamptz AS now) v WHERE h.id = ahead.id
"""
_RELEASE = """
    DELETE FROM state_heldalarm h USING registry_device d
    WHERE h.device_id = ANY(%s) AND d.id = h.device_id AND h.look_at <= %s
    RETURNING h.device_id, h.tenant_id, h.code, h.severity, h.message, h.count,
        h.last_at, h.rule_id, h.look_at > h.due_at, d.lifecycle, h.rule_id IS NULL
        OR EXISTS (SELECT FROM state_alarmrule r WHERE r.id = h.rule_id AND r.enabled)
"""


@dataclass(slots=True)
class HeldBackAlarm:
    """A report that is no alarm yet, in the order of _HELD_COLUMNS."""

    tenant_id: int
    device_id: int
    code: str
    severity: str
    message: str
    count: int
    last_at: datetime
    heard_at: datetime
    rule_id: int | None
    due_at: datetime
    look_at: datetime


class HeldBackBatch:
    """What a batch holds back; one row a device and code."""

    def __init__(self) -> None:
        self.rows: dict[Key, HeldBackAlarm] = {}

    def add(self, signal: Signal, maintenance_until: datetime | None) -> None:
        """Add a report; its severity, text and times update an earlier one."""
        key = (signal.device.id, signal.code)
        due_at = signal.at + timedelta(seconds=signal.hold_seconds)
        row = self.rows.get(key)
        if row is None:
            look_at = due_at
            if maintenance_until is not None:
                look_at = max(due_at, min(maintenance_until, signal.at + CHECK_EVERY))
            self.rows[key] = HeldBackAlarm(
                tenant_id=signal.device.tenant_id,
                device_id=signal.device.id,
                code=signal.code,
                severity=signal.severity,
                message=signal.message,
                count=1,
                last_at=signal.at,
                heard_at=signal.at,
                rule_id=signal.rule_id,
                due_at=due_at,
                look_at=look_at,
            )
            return
        row.severity = signal.severity
        row.message = signal.message or row.message
        row.count += 1
        row.last_at = max(row.last_at, signal.at)
        row.heard_at = max(row.heard_at, signal.at)


def under_maintenance(
    device_ids: Collection[int], *, now: datetime
) -> dict[int, datetime]:
    """Return the devices that are in maintenance now, and until when; one query."""
    ids = sorted(device_ids)
    if not ids:
        return {}
    params = [ids, now, now, ids, now, now]
    return dict(bulk_sql.fetch(_UNDER_MAINTENANCE, params))


def hold_back(holding: HeldBackBatch) -> None:
    """Store the reports until they may become alarms."""
    ordered = [row for _, row in sorted(holding.rows.items())]
    if not ordered:
        return
    values = [*map(attrgetter(*_HELD_COLUMNS), ordered)]
    bulk_sql.run(_HOLD, bulk_sql.columns_of(values, len(_HELD_COLUMNS)))


def forget(keys: Collection[Key]) -> None:
    """Delete the held-back reports of these devices and codes."""
    if keys:
        bulk_sql.run(_FORGET, bulk_sql.columns_of(sorted(keys), 2))


def open_alarm(
    alarm: Alarm,
    reason: AlarmReason,
    batch: AlarmBatch,
    raises: RecentRaises,
    at: datetime,
) -> None:
    """Raise an alarm; mark it as flapping if it is raised too often."""
    batch.raised.append(alarm)
    batch.log(alarm, AlarmMove.RAISED, reason, alarm.raised_at)
    if raises.add_raise((alarm.device_id, alarm.code), at):
        flapping.begin(alarm, at)
        batch.log(alarm, AlarmMove.FLAPPING, AlarmReason.AGAIN, alarm.raised_at)


def raise_held_back_across_tenants(*, now: datetime) -> int:
    """Raise held-back alarms after maintenance and hold time; return how many.

    Each batch has its own transaction. Several runs at once are safe: rows locked by
    another run or a bridge are skipped, and checked a second later.
    """
    total, after = 0, 0
    heard_from = _adapters_heard_from(now)
    for _ in range(BATCHES_A_RUN):
        due = [row[0] for row in bulk_sql.fetch(_DUE, [now, after, BATCH])]
        if not due:
            break
        after = due[-1]
        total += _raise_due(due, heard_from, now=now)
    return total


def restart_future_holds_across_tenants(*, now: datetime) -> int:
    """Restart holds in the future, after the clock was set back; return how many."""
    params = [now + FUTURE_TOLERANCE, BATCH, now]
    step = partial(bulk_sql.run, _SET_BACK, params)
    return until_drained(step, batch=BATCH, most=BATCHES_A_RUN)


@transaction.atomic
def _raise_due(
    device_ids: list[int], heard_from: dict[AdapterName, datetime], *, now: datetime
) -> int:
    """Raise the due alarms of these devices; check those in maintenance later."""
    mine = [row[0] for row in bulk_sql.fetch(_LOCK_PRESENCE, [device_ids])]
    in_maintenance = under_maintenance(mine, now=now)
    if in_maintenance:
        columns = bulk_sql.columns_of(sorted(in_maintenance.items()), 2)
        bulk_sql.run(_LOOK_LATER, [now + CHECK_EVERY, *columns, now])
    if heard_from:
        columns = bulk_sql.columns_of(sorted(heard_from.items()), 2)
        bulk_sql.run(_RESTART_HOLD, [*columns, mine, now, now])
    # Reports of devices out of service, or of rules that are off, are deleted as well.
    found = [
        (_alarm_of(*row[:8], now=now), row[8])
        for row in sorted(bulk_sql.fetch(_RELEASE, [mine, now]))
        if row[9] in RAISES_ALARMS and row[10]
    ]
    keys = {(alarm.device_id, alarm.code) for alarm, _ in found}
    if not keys:
        return 0
    known, raises, batch = lock_open(keys), RecentRaises(keys, now=now), AlarmBatch()
    for alarm, is_after_work in found:
        if (alarm.device_id, alarm.code) in known:
            continue
        why = AlarmReason.MAINTENANCE if is_after_work else AlarmReason.HELD
        open_alarm(alarm, why, batch, raises, now)
    batch.write()
    return len(batch.raised)


def _adapters_heard_from(now: datetime) -> dict[AdapterName, datetime]:
    """Return since when each adapter that was blind lately listens again.

    The value that would have cleared a held-back alarm may be lost in an outage of the
    platform; without this, each outage would raise the alarms that a fleet had just
    begun to report. So devices not heard since then start their hold time again.
    """
    ends = {
        adapter: spans[-1][1]
        for adapter, spans in blind_spans_by_adapter().items()
        if spans
    }
    blind_now = [name for name, since in blind_since_by_adapter(now).items() if since]
    return ends | dict.fromkeys(blind_now, now)


def _alarm_of(
    device_id: int,
    tenant_id: int,
    code: str,
    severity: str,
    message: str,
    count: int,
    last_at: datetime,
    rule_id: int | None,
    *,
    now: datetime,
) -> Alarm:
    return Alarm(
        public_id=new_public_id(),
        tenant_id=tenant_id,
        device_id=device_id,
        code=code,
        severity=severity,
        message=message,
        count=count,
        raised_at=now,
        last_at=last_at,
        rule_id=rule_id,
    )
