"""Alarms: raised and cleared by events and rules, acknowledged by people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, cast

from django.db import transaction

from iotplatform.common.ids import new_public_id
from registry.choices import RAISES_ALARMS
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.exceptions import AlarmIsCleared
from state.models import Alarm
from state.services.alarms import flapping, held_back
from state.services.alarms.changes import AlarmBook, lock_open
from state.services.alarms.event_order import take_in_order
from state.services.alarms.flapping import Key, Raises
from state.services.alarms.signal import Said
from state.services.alarms.thresholds import said_by_values
from state.services.presence.evidence import device_time

if TYPE_CHECKING:
    from iotplatform.common.messages import Event
    from registry.models import User
    from state.services.arrivals import Arrival


def take_events(
    arrivals: Sequence[Arrival],
    *,
    now: datetime,
    late: Collection[tuple[int, str]] = frozenset(),
) -> None:
    """Raise and clear what a batch's events and values say; one open alarm a code.

    A device that is not in service raises none, and may still clear what it raised.
    What one under maintenance complains about is held until that is over.
    ``late`` are the values (place in the batch, metric) that are not the newest; of
    events that is found here.
    The presence rows are locked, so nobody else raises for these devices meanwhile.
    """
    events = [arrival for arrival in arrivals if arrival.uplink.kind == "event"]
    said = [*map(_said, take_in_order(events))]
    said += said_by_values(arrivals, late)
    if not said:
        return
    known = lock_open({(word.device.id, word.code) for word in said})
    raises = Raises(_may_be_raised(said, known), now=now)
    complaining = {word.device.id for word in said if word.is_raised}
    resting = held_back.under_maintenance(complaining, now=now)
    book, holding, ended = AlarmBook(), held_back.Holding(), set[Key]()
    for word in said:
        key = (word.device.id, word.code)
        alarm = known.get(key)
        if not word.is_raised:
            holding.drop(key)
            ended.add(key)
            if alarm is not None:
                book.touch(alarm)
                if flapping.clear(alarm, word):
                    book.tell(alarm, AlarmMove.CLEARED, _why(word), word.at)
                    del known[key]
        elif alarm is not None:
            flapping.repeat(alarm, word)
            book.touch(alarm)
        elif word.device.lifecycle in RAISES_ALARMS:
            if word.hold_seconds or word.device.id in resting:
                holding.add(word, resting.get(word.device.id))
                continue
            known[key] = _raised(word)
            held_back.open_alarm(known[key], _why(word), book, raises, word.heard_at)
    book.write()
    # In this order: what was cleared and is there again begins anew.
    held_back.forget(ended | {(alarm.device_id, alarm.code) for alarm in book.raised})
    held_back.hold(holding)


@transaction.atomic
def acknowledge_alarm(alarm: Alarm, *, by: User, at: datetime) -> Alarm:
    """Say that a person has seen an alarm; the first one to say so stays."""
    rows = Alarm.objects.select_related("device", "tenant", "acknowledged_by", "rule")
    locked = rows.select_for_update(of=("self",)).get(pk=alarm.pk)
    if locked.state == AlarmState.CLEARED:
        raise AlarmIsCleared("The alarm is cleared; there is nothing to do.")
    if locked.state == AlarmState.RAISED:
        locked.state = AlarmState.ACKNOWLEDGED
        locked.acknowledged_at, locked.acknowledged_by = at, by
        locked.save(update_fields=["state", "acknowledged_at", "acknowledged_by"])
        book = AlarmBook()
        book.tell(locked, AlarmMove.ACKNOWLEDGED, AlarmReason.PERSON, at, by.pk)
        book.write()
    return locked


def _may_be_raised(said: Sequence[Said], known: Collection[Key]) -> set[Key]:
    """Return what this batch may raise anew: all but what is just there still."""
    over = {(word.device.id, word.code) for word in said if not word.is_raised}
    there = {(word.device.id, word.code) for word in said if word.is_raised}
    return {key for key in there if key not in known or key in over}


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
        heard_at=arrival.uplink.at,
    )


def _why(word: Said) -> AlarmReason:
    return AlarmReason.EVENT if word.rule_id is None else AlarmReason.RULE


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
        rule_id=word.rule_id,
    )
