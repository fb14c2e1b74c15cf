"""Alarms: raised and cleared by events and rules, acknowledged by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from django.db import transaction
from django.db.models import Q

from iotplatform.common.ids import new_public_id
from registry.lifecycle import RAISES_ALARMS
from state.exceptions import AlarmIsCleared
from state.lifecycle import AlarmState
from state.models import Alarm
from state.services import bulk, held
from state.services.evidence import device_time
from state.services.said import Said
from state.services.thresholds import said_by_values

if TYPE_CHECKING:
    from iotplatform.common.messages import Event
    from registry.models import User
    from state.services.arrivals import Arrival

Key = tuple[int, str]

_LOCK = """
    SELECT a.id FROM state_alarm a
    JOIN unnest(%s::bigint[], %s::text[]) AS v(device_id, code)
        ON a.device_id = v.device_id AND a.code = v.code
    WHERE a.state <> 'cleared' ORDER BY a.id FOR UPDATE OF a
"""
_WRITE = """
    UPDATE state_alarm AS a
    SET severity = v.severity, state = v.state, message = v.message, count = v.count,
        last_at = v.last_at, cleared_at = v.cleared_at
    FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::integer[],
        %s::timestamptz[], %s::timestamptz[])
        AS v(id, severity, state, message, count, last_at, cleared_at)
    WHERE a.id = v.id
"""


def take_events(arrivals: Sequence[Arrival], *, now: datetime) -> None:
    """Raise and clear what a batch's events and values say; one open alarm a code.

    A device that is not in service raises none, and may still clear what it raised.
    What one under maintenance complains about is held until that is over.
    The presence rows are locked, so nobody else raises for these devices meanwhile.
    """
    said = [*map(_said, [a for a in arrivals if a.uplink.kind == "event"])]
    said += said_by_values(arrivals)
    if not said:
        return
    known = _lock_open({(word.device.id, word.code) for word in said})
    raised: list[Alarm] = []
    touched: dict[int, Alarm] = {}
    held_back: dict[Key, held.Held] = {}
    ended: set[Key] = set()
    complaining = {word.device.id for word in said if word.is_raised}
    resting = held.under_maintenance(complaining, now=now)
    for word in said:
        key = (word.device.id, word.code)
        alarm = known.get(key)
        if not word.is_raised:
            held_back.pop(key, None)
            ended.add(key)
            alarm = known.pop(key, None)
            if alarm is not None:
                alarm.state, alarm.cleared_at = AlarmState.CLEARED, word.at
        elif alarm is not None:
            _repeat(alarm, word)
        elif word.device.lifecycle in RAISES_ALARMS:
            if word.hold_seconds or word.device.id in resting:
                _hold(held_back, word)
                continue
            known[key] = _raised(word)
            raised.append(known[key])
        if alarm is not None and alarm.pk:
            touched[alarm.pk] = alarm
    _write(touched)
    Alarm.objects.bulk_create(raised)
    # In this order: what was cleared and is there again begins anew.
    held.forget(ended | {(alarm.device_id, alarm.code) for alarm in raised})
    held.hold(list(held_back.values()))


@transaction.atomic
def acknowledge_alarm(alarm: Alarm, *, by: User, at: datetime) -> Alarm:
    """Say that a person has seen an alarm; the first one to say so stays."""
    rows = Alarm.objects.select_related("device", "tenant", "acknowledged_by")
    locked = rows.select_for_update(of=("self",)).get(pk=alarm.pk)
    if locked.state == AlarmState.CLEARED:
        raise AlarmIsCleared("The alarm is cleared; there is nothing to do.")
    if locked.state == AlarmState.RAISED:
        locked.state = AlarmState.ACKNOWLEDGED
        locked.acknowledged_at, locked.acknowledged_by = at, by
        locked.save(update_fields=["state", "acknowledged_at", "acknowledged_by"])
    return locked


def _lock_open(keys: set[Key]) -> dict[Key, Alarm]:
    columns = bulk.columns_of(sorted(keys), 2)
    ids = [row[0] for row in bulk.fetch(_LOCK, columns)]
    if not ids:
        return {}
    alarms = Alarm.objects.filter(~Q(state=AlarmState.CLEARED), pk__in=ids)
    return {(alarm.device_id, alarm.code): alarm for alarm in alarms}


def _said(arrival: Arrival) -> Said:
    """Read a device's own event."""
    event = cast("Event", arrival.uplink.message)
    return Said(
        device=arrival.device,
        code=event.code,
        severity=event.severity,
        is_raised=event.state != "cleared",
        message=event.message or "",
        at=device_time(arrival.uplink) or arrival.uplink.at,
    )


def _hold(held_back: dict[Key, held.Held], word: Said) -> None:
    """Note one report of what is held back; the latest word on it stands."""
    key = (word.device.id, word.code)
    earlier = held_back.get(key)
    due_at = word.at + timedelta(seconds=word.hold_seconds)
    held_back[key] = held.Held(
        tenant_id=word.device.tenant_id,
        device_id=word.device.id,
        code=word.code,
        severity=word.severity,
        message=word.message or (earlier.message if earlier else ""),
        count=1 + (earlier.count if earlier else 0),
        last_at=max(word.at, earlier.last_at) if earlier else word.at,
        due_at=earlier.due_at if earlier else due_at if word.hold_seconds else None,
    )


def _repeat(alarm: Alarm, word: Said) -> None:
    """Count one more report of what is open; the latest word on it stands."""
    alarm.count += 1
    alarm.last_at = max(alarm.last_at, word.at)
    alarm.severity = word.severity
    alarm.message = word.message or alarm.message


def _raised(word: Said) -> Alarm:
    return Alarm(
        public_id=new_public_id(),
        tenant_id=word.device.tenant_id,
        device_id=word.device.id,
        code=word.code,
        severity=word.severity,
        message=word.message,
        raised_at=word.at,
        last_at=word.at,
    )


def _write(alarms: dict[int, Alarm]) -> None:
    rows = [
        (a.pk, a.severity, a.state, a.message, a.count, a.last_at, a.cleared_at)
        for _, a in sorted(alarms.items())
    ]
    if rows:
        bulk.run(_WRITE, bulk.columns_of(rows, 7))
