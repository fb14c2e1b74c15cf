"""Raise and clear alarms from events and values; acknowledge them for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from django.db import transaction

from iotplatform.common.ids import new_public_id
from iotplatform.common.row_lock import get_locked
from registry.choices import RAISES_ALARMS
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.exceptions import AlarmIsCleared
from state.models import Alarm
from state.services.alarms import flapping, held_back
from state.services.alarms.changes import AlarmBatch, lock_open
from state.services.alarms.event_order import accept_in_order
from state.services.alarms.flapping import Key, RecentRaises
from state.services.alarms.signal import Signal
from state.services.alarms.thresholds import signals_from_values

if TYPE_CHECKING:
    from iotplatform.common.messages import Event
    from registry.models import User
    from state.services.arrivals import Arrival


def apply_events(
    arrivals: Sequence[Arrival],
    *,
    now: datetime,
    late: Collection[tuple[int, str]] = frozenset(),
) -> None:
    """Raise and clear alarms from a batch's events and values; one open alarm a code.

    A device out of service raises none, but may still clear its open ones. Alarms of a
    device in maintenance are held back until that is over. ``late`` has the values
    (place in the batch, metric) that are not the newest; late events are found here.
    The presence rows are locked, so no other process raises alarms for these devices.
    """
    events = [arrival for arrival in arrivals if arrival.uplink.kind == "event"]
    signals = [*map(_signal_of, accept_in_order(events))]
    signals += signals_from_values(arrivals, late)
    if not signals:
        return
    known = lock_open({(signal.device.id, signal.code) for signal in signals})
    raises = RecentRaises(_may_be_raised(signals, known), now=now)
    raising = {signal.device.id for signal in signals if signal.is_raised}
    in_maintenance = held_back.under_maintenance(raising, now=now)
    batch, holding, ended = AlarmBatch(), held_back.HeldBackBatch(), set[Key]()
    for signal in signals:
        key = (signal.device.id, signal.code)
        alarm = known.get(key)
        if not signal.is_raised:
            holding.rows.pop(key, None)
            ended.add(key)
            if alarm is not None:
                batch.update(alarm)
                if flapping.clear(alarm, signal):
                    batch.log(alarm, AlarmMove.CLEARED, _why(signal), signal.at)
                    del known[key]
        elif alarm is not None:
            flapping.repeat(alarm, signal)
            batch.update(alarm)
        elif signal.device.lifecycle in RAISES_ALARMS:
            if signal.hold_seconds or signal.device.id in in_maintenance:
                holding.add(signal, in_maintenance.get(signal.device.id))
                continue
            alarm = known[key] = _new_alarm(signal)
            held_back.open_alarm(alarm, _why(signal), batch, raises, signal.at)
    batch.write()
    # In this order: a hold that was cleared and raised again starts from the beginning.
    held_back.forget(ended | {(alarm.device_id, alarm.code) for alarm in batch.raised})
    held_back.hold_back(holding)


@transaction.atomic
def acknowledge_alarm(alarm: Alarm, *, by: User, at: datetime) -> Alarm:
    """Acknowledge an alarm; the first acknowledgement stays.

    Raises AlarmIsCleared.
    """
    rows = Alarm.objects.select_related("device", "tenant", "acknowledged_by", "rule")
    locked = get_locked(rows, pk=alarm.pk)
    if locked.state == AlarmState.CLEARED:
        raise AlarmIsCleared("The alarm is cleared; it cannot be acknowledged.")
    if locked.state == AlarmState.RAISED:
        locked.state = AlarmState.ACKNOWLEDGED
        locked.acknowledged_at, locked.acknowledged_by = at, by
        locked.save(update_fields=["state", "acknowledged_at", "acknowledged_by"])
        batch = AlarmBatch()
        batch.log(locked, AlarmMove.ACKNOWLEDGED, AlarmReason.PERSON, at, by.pk)
        batch.write()
    return locked


@transaction.atomic
def acknowledge_alarms(alarms: Collection[Alarm], *, by: User, at: datetime) -> int:
    """Acknowledge those that nobody has acknowledged yet; return how many.

    Cleared ones, and those that somebody was faster with, stay as they are.
    """
    rows = Alarm.objects.filter(
        pk__in=[alarm.pk for alarm in alarms], state=AlarmState.RAISED
    )
    locked = list(rows.order_by("pk").select_for_update(of=("self",)))
    Alarm.objects.filter(pk__in=[alarm.pk for alarm in locked]).update(
        state=AlarmState.ACKNOWLEDGED, acknowledged_at=at, acknowledged_by=by
    )
    batch = AlarmBatch()
    for alarm in locked:
        batch.log(alarm, AlarmMove.ACKNOWLEDGED, AlarmReason.PERSON, at, by.pk)
    batch.write()
    return len(locked)


def _may_be_raised(signals: Sequence[Signal], known: Collection[Key]) -> set[Key]:
    """Return the alarms that this batch may raise: not those that only stay open."""
    raised: set[Key] = set()
    cleared: set[Key] = set()
    for signal in signals:
        (raised if signal.is_raised else cleared).add((signal.device.id, signal.code))
    return {key for key in raised if key not in known or key in cleared}


def _signal_of(arrival: Arrival) -> Signal:
    event = cast("Event", arrival.uplink.message)
    return Signal(
        device=arrival.device,
        code=event.code,
        severity=event.severity,
        is_raised=event.state != "cleared",
        message=event.message or "",
        at=arrival.uplink.at,
    )


def _why(signal: Signal) -> AlarmReason:
    return AlarmReason.EVENT if signal.rule_id is None else AlarmReason.RULE


def _new_alarm(signal: Signal) -> Alarm:
    return Alarm(
        public_id=new_public_id(),
        tenant_id=signal.device.tenant_id,
        device_id=signal.device.id,
        code=signal.code,
        severity=signal.severity,
        message=signal.message,
        raised_at=signal.at,
        last_at=signal.at,
        rule_id=signal.rule_id,
    )
