"""Alarms held back by maintenance or a rule's hold time: raised when that is over."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from iotplatform.common import bulk_sql
from iotplatform.common.ids import new_public_id
from registry.choices import RAISES_ALARMS
from state.choices import AlarmMove, AlarmReason
from state.models import Alarm
from state.selectors.adapter_liveness import (
    Door,
    blind_spans_of_doors,
    doors_blind_since,
)
from state.services.alarms import flapping
from state.services.alarms.changes import AlarmBook, lock_open
from state.services.alarms.flapping import Key, Raises
from state.services.alarms.signal import Said
from state.services.presence.evidence import SET_BACK

BATCH = 1_000  # devices whose presence is locked at a time: some 50 ms for a bridge
BATCHES_A_RUN = 50  # what is left goes a second later
# A device may be moved out of a site where work goes on for days.
LOOK_EVERY = timedelta(minutes=5)

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
_HOLD = """
    INSERT INTO state_heldalarm AS h
        (tenant_id, device_id, code, severity, message, count, last_at, heard_at,
        rule_id, due_at, look_at)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[],
        %s::text[], %s::integer[], %s::timestamptz[], %s::timestamptz[],
        %s::bigint[], %s::timestamptz[], %s::timestamptz[])
    ON CONFLICT (device_id, code) DO UPDATE SET
        severity = excluded.severity, count = h.count + excluded.count,
        message = coalesce(nullif(excluded.message, ''), h.message),
        last_at = greatest(h.last_at, excluded.last_at),
        heard_at = greatest(h.heard_at, excluded.heard_at)
"""
_FORGET = """
    DELETE FROM state_heldalarm h
    USING unnest(%s::bigint[], %s::text[]) AS v(device_id, code)
    WHERE h.device_id = v.device_id AND h.code = v.code
"""
_DUE = """
    SELECT DISTINCT device_id FROM state_heldalarm
    WHERE look_at <= %s AND device_id > %s ORDER BY device_id LIMIT %s
"""
# Presence rows come first, as in ingest; another sweep's are left to it.
_TAKE = """
    SELECT device_id FROM state_presence WHERE device_id = ANY(%s)
    ORDER BY device_id FOR UPDATE SKIP LOCKED
"""
_LOOK_LATER = """
    UPDATE state_heldalarm h SET look_at = greatest(h.due_at, least(v.until, %s))
    FROM unnest(%s::bigint[], %s::timestamptz[]) AS v(device_id, until)
    WHERE h.device_id = v.device_id AND h.look_at <= %s
"""
# Only a hold time asks for what lasts; a null rule is a device's own complaint.
_HEAR_AGAIN = """
    UPDATE state_heldalarm h SET due_at = v.heard_from + r.hold_seconds * interval '1s',
        look_at = v.heard_from + r.hold_seconds * interval '1s'
    FROM registry_device d, state_alarmrule r,
        unnest(%s::text[], %s::timestamptz[]) AS v(adapter, heard_from)
    WHERE h.device_id = ANY(%s) AND h.look_at <= %s AND d.id = h.device_id
        AND d.adapter = v.adapter AND r.id = h.rule_id AND h.heard_at < v.heard_from
        AND v.heard_from + r.hold_seconds * interval '1s' > %s
"""
# What was held by a clock that has been set back since would wait until then: it begins
# anew. No hold time is longer than its rule asks, counted from now.
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
class Held:
    """A complaint that is no alarm yet, in the order of its columns."""

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


class Holding:
    """What a batch holds back, one row a device and code."""

    def __init__(self) -> None:
        self.rows: dict[Key, Held] = {}

    def drop(self, key: Key) -> None:
        """Hold nothing of this any more."""
        self.rows.pop(key, None)

    def add(self, word: Said, resting_until: datetime | None) -> None:
        """Note one report of what is held back; the latest word on it stands."""
        key = (word.device.id, word.code)
        due_at = word.heard_at + timedelta(seconds=word.hold_seconds)
        row = self.rows.get(key)
        if row is None:
            look_at = due_at
            if resting_until is not None:
                look_at = max(due_at, min(resting_until, word.heard_at + LOOK_EVERY))
            self.rows[key] = Held(
                tenant_id=word.device.tenant_id,
                device_id=word.device.id,
                code=word.code,
                severity=word.severity,
                message=word.message,
                count=1,
                last_at=word.at,
                heard_at=word.heard_at,
                rule_id=word.rule_id,
                due_at=due_at,
                look_at=look_at,
            )
            return
        row.severity = word.severity
        row.message = word.message or row.message
        row.count += 1
        row.last_at = max(row.last_at, word.at)
        row.heard_at = max(row.heard_at, word.heard_at)


def under_maintenance(
    device_ids: Collection[int], *, now: datetime
) -> dict[int, datetime]:
    """Return until when somebody works at which of these devices, by one query."""
    ids = sorted(device_ids)
    if not ids:
        return {}
    params = [ids, now, now, ids, now, now]
    return dict(bulk_sql.fetch(_UNDER_MAINTENANCE, params))


def hold(holding: Holding) -> None:
    """Keep complaints until they may be alarms."""
    ordered = [row for _, row in sorted(holding.rows.items())]
    if not ordered:
        return
    values = [
        (
            *(r.tenant_id, r.device_id, r.code, r.severity, r.message, r.count),
            *(r.last_at, r.heard_at, r.rule_id, r.due_at, r.look_at),
        )
        for r in ordered
    ]
    bulk_sql.run(_HOLD, bulk_sql.columns_of(values, 11))


def forget(keys: Collection[Key]) -> None:
    """Drop what devices no longer complain about."""
    if keys:
        bulk_sql.run(_FORGET, bulk_sql.columns_of(sorted(keys), 2))


def open_alarm(
    alarm: Alarm, reason: AlarmReason, book: AlarmBook, raises: Raises, at: datetime
) -> None:
    """Raise an alarm; one that is raised too often is held as flapping from here."""
    book.open(alarm)
    book.tell(alarm, AlarmMove.RAISED, reason, alarm.raised_at)
    if raises.is_one_too_many((alarm.device_id, alarm.code), at):
        flapping.begin(alarm, at)
        book.tell(alarm, AlarmMove.FLAPPING, AlarmReason.AGAIN, alarm.raised_at)


def raise_held_across_tenants(*, now: datetime) -> int:
    """Raise what outlasted maintenance and hold time; return how many alarms.

    A batch at a time, each in a transaction of its own. Several may run at once: what
    another one, or a bridge, holds is left to it and looked at a second later.
    """
    total, after = 0, 0
    heard_from = _heard_from(now)
    for _ in range(BATCHES_A_RUN):
        due = [row[0] for row in bulk_sql.fetch(_DUE, [now, after, BATCH])]
        if not due:
            break
        after = due[-1]
        total += _raise(due, heard_from, now=now)
    return total


def set_back_across_tenants(*, now: datetime) -> int:
    """Begin anew what was held before our clock was set back; return how much."""
    total = 0
    for _ in range(BATCHES_A_RUN):
        done = bulk_sql.run(_SET_BACK, [now + SET_BACK, BATCH, now])
        total += done
        if done < BATCH:
            break
    return total


@transaction.atomic
def _raise(
    device_ids: list[int], heard_from: dict[Door, datetime], *, now: datetime
) -> int:
    """Raise what these devices still complain about; look again at who rests."""
    mine = [row[0] for row in bulk_sql.fetch(_TAKE, [device_ids])]
    resting = under_maintenance(mine, now=now)
    if resting:
        columns = bulk_sql.columns_of(sorted(resting.items()), 2)
        bulk_sql.run(_LOOK_LATER, [now + LOOK_EVERY, *columns, now])
    if heard_from:
        columns = bulk_sql.columns_of(sorted(heard_from.items()), 2)
        bulk_sql.run(_HEAR_AGAIN, [*columns, mine, now, now])
    # What left service meanwhile, or whose rule is off, complains no more; it goes too.
    found = [
        (_unheld(*row[:8], now=now), row[8])
        for row in sorted(bulk_sql.fetch(_RELEASE, [mine, now]))
        if row[9] in RAISES_ALARMS and row[10]
    ]
    keys = {(alarm.device_id, alarm.code) for alarm, _ in found}
    if not keys:
        return 0
    known, raises, book = lock_open(keys), Raises(keys, now=now), AlarmBook()
    for alarm, is_after_work in found:
        if (alarm.device_id, alarm.code) in known:
            continue
        why = AlarmReason.MAINTENANCE if is_after_work else AlarmReason.HELD
        open_alarm(alarm, why, book, raises, now)
    book.write()
    return len(book.raised)


def _heard_from(now: datetime) -> dict[Door, datetime]:
    """Return since when we hear again at each door that was blind lately.

    What would have ended a complaint may be what we did not hear: else each outage of
    ours would raise whatever a fleet had just begun to complain about. So who has said
    nothing since then begins his hold time anew.
    """
    ends = {
        door: spans[-1][1] for door, spans in blind_spans_of_doors().items() if spans
    }
    return ends | {door: now for door, since in doors_blind_since(now).items() if since}


def _unheld(
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
