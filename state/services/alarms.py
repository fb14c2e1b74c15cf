"""Alarms: raised and cleared by device events, acknowledged by people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
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

if TYPE_CHECKING:
    from iotplatform.adapters.messages import Event
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
    """Raise and clear what the devices of a batch say; one open alarm a code.

    A device that is not in service raises none, and may still clear what it raised.
    What one under maintenance complains about is held until that is over.
    The presence rows are locked, so nobody else raises for these devices meanwhile.
    """
    events = [arrival for arrival in arrivals if arrival.uplink.kind == "event"]
    if not events:
        return
    keys = {(a.device.id, cast("Event", a.uplink.message).code) for a in events}
    known = _lock_open(keys)
    raised: list[Alarm] = []
    held_back: dict[Key, held.Held] = {}
    ended: set[Key] = set()
    resting = held.under_maintenance(_may_raise(events), now=now)
    touched: dict[int, Alarm] = {}
    for arrival in events:
        event = cast("Event", arrival.uplink.message)
        key = (arrival.device.id, event.code)
        at = device_time(arrival.uplink) or arrival.uplink.at
        alarm = known.get(key)
        if event.state == "cleared":
            held_back.pop(key, None)
            ended.add(key)
            alarm = known.pop(key, None)
            if alarm is not None:
                alarm.state, alarm.cleared_at = AlarmState.CLEARED, at
        elif alarm is not None:
            _repeat(alarm, event, at)
        elif arrival.device.lifecycle in RAISES_ALARMS:
            if arrival.device.id in resting:
                _hold(held_back, arrival, event, at)
                continue
            known[key] = _raised(arrival, event, at)
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


def _may_raise(events: Sequence[Arrival]) -> set[int]:
    """Return the devices of which a message may open an alarm."""
    return {
        arrival.device.id
        for arrival in events
        if cast("Event", arrival.uplink.message).state != "cleared"
    }


def _hold(
    held_back: dict[Key, held.Held], arrival: Arrival, event: Event, at: datetime
) -> None:
    """Note one report of what maintenance holds back; the latest word stands."""
    key = (arrival.device.id, event.code)
    earlier = held_back.get(key)
    held_back[key] = held.Held(
        tenant_id=arrival.device.tenant_id,
        device_id=arrival.device.id,
        code=event.code,
        severity=event.severity,
        message=event.message or (earlier.message if earlier else ""),
        count=1 + (earlier.count if earlier else 0),
        last_at=max(at, earlier.last_at) if earlier else at,
    )


def _repeat(alarm: Alarm, event: Event, at: datetime) -> None:
    """Count one more report of what is open; the latest word on it stands."""
    alarm.count += 1
    alarm.last_at = max(alarm.last_at, at)
    alarm.severity = event.severity
    alarm.message = event.message or alarm.message


def _raised(arrival: Arrival, event: Event, at: datetime) -> Alarm:
    return Alarm(
        public_id=new_public_id(),
        tenant_id=arrival.device.tenant_id,
        device_id=arrival.device.id,
        code=event.code,
        severity=event.severity,
        message=event.message or "",
        raised_at=at,
        last_at=at,
    )


def _write(alarms: dict[int, Alarm]) -> None:
    rows = [
        (a.pk, a.severity, a.state, a.message, a.count, a.last_at, a.cleared_at)
        for _, a in sorted(alarms.items())
    ]
    if rows:
        bulk.run(_WRITE, bulk.columns_of(rows, 7))
