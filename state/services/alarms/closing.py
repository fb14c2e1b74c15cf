"""Alarms that end without a word from their device: settled, orphaned, too old."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import LiteralString

from django.db import transaction

from iotplatform.common import bulk_sql
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.models import Alarm
from state.services.alarms import flapping
from state.services.alarms.changes import AlarmBook
from state.services.presence.evidence import SET_BACK

BATCH = 1_000  # alarms locked at a time: some 50 ms for a bridge that meets them
BATCHES_A_RUN = 50
# As long as their history, so that what a timeline names can be opened.
CLEARED_KEPT = timedelta(days=400)

# What a bridge or another sweep holds is left to it; the next run comes soon.
_SETTLED = """
    SELECT id FROM state_alarm WHERE settles_at <= %s
    ORDER BY settles_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
# What a clock that has been set back since would keep unsettled until then. What is
# there stays there: least() would make an instant of no instant.
_SET_BACK = """
    UPDATE state_alarm a SET settles_at = v.settles_at,
        calm_since = CASE WHEN a.calm_since > v.now THEN v.now ELSE a.calm_since END
    FROM (SELECT %s::timestamptz AS settles_at, %s::timestamptz AS now) v
    WHERE a.id IN (
        SELECT id FROM state_alarm WHERE settles_at > %s
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""
# A batch that was under way may raise for a rule that is off or gone by then.
_RULE_IS_OFF = """
    SELECT a.id FROM state_alarm a LEFT JOIN state_alarmrule r ON r.id = a.rule_id
    WHERE a.state <> 'cleared' AND a.rule_id IS NOT NULL AND r.enabled IS NOT TRUE
    ORDER BY a.id LIMIT %s FOR UPDATE OF a SKIP LOCKED
"""
_OUT_OF_SERVICE = """
    SELECT a.id FROM state_alarm a JOIN registry_device d ON d.id = a.device_id
    WHERE a.state <> 'cleared' AND d.lifecycle IN ('retired', 'replaced')
    ORDER BY a.id LIMIT %s FOR UPDATE OF a SKIP LOCKED
"""
_FORGET = """
    DELETE FROM state_alarm WHERE id IN (
        SELECT id FROM state_alarm WHERE state = 'cleared' AND cleared_at < %s
        ORDER BY cleared_at LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""


def close_alarms(
    alarm_ids: Collection[int],
    *,
    reason: AlarmReason,
    at: datetime,
    by_id: int | None = None,
) -> int:
    """Clear these alarms, which the caller has locked, and say in their history why."""
    book = AlarmBook()
    for alarm in Alarm.objects.filter(pk__in=alarm_ids).exclude(
        state=AlarmState.CLEARED
    ):
        flapping.close(alarm, at)
        book.touch(alarm)
        book.tell(alarm, AlarmMove.CLEARED, reason, at, by_id)
    book.write()
    return len(book.touched)


def settle_across_tenants(*, now: datetime) -> int:
    """End the flapping of what has not turned for long enough; return how many."""
    return _in_batches(partial(_settle, now))


def set_back_settling_across_tenants(*, now: datetime) -> int:
    """Have what turned before our clock was set back settle from now on."""
    latest = now + flapping.SETTLE_AFTER
    params = [latest, now, latest + SET_BACK, BATCH]
    return _in_batches(partial(bulk_sql.run, _SET_BACK, params))


def end_orphans_across_tenants(*, now: datetime) -> int:
    """Clear what nobody can clear: its rule is off, or its device left service."""
    return _in_batches(
        partial(_end, _RULE_IS_OFF, AlarmReason.RULE_OFF, now)
    ) + _in_batches(partial(_end, _OUT_OF_SERVICE, AlarmReason.OUT_OF_SERVICE, now))


def forget_cleared_across_tenants(*, now: datetime) -> int:
    """Delete the alarms that were cleared long ago; return how many."""
    return _in_batches(partial(bulk_sql.run, _FORGET, [now - CLEARED_KEPT, BATCH]))


def _in_batches(step: Callable[[], int]) -> int:
    """Repeat a step until it finds less than a batch, or a run has done enough."""
    total = 0
    for _ in range(BATCHES_A_RUN):
        done = step()
        total += done
        if done < BATCH:
            break
    return total


@transaction.atomic
def _settle(now: datetime) -> int:
    ids = [row[0] for row in bulk_sql.fetch(_SETTLED, [now, BATCH])]
    book = AlarmBook()
    for alarm in Alarm.objects.filter(pk__in=ids):
        flapping.settle(alarm, now)
        is_over = alarm.state == AlarmState.CLEARED
        move = AlarmMove.CLEARED if is_over else AlarmMove.STEADY
        book.touch(alarm)
        book.tell(alarm, move, AlarmReason.SETTLED, now)
    book.write()
    return len(ids)


@transaction.atomic
def _end(which: LiteralString, reason: AlarmReason, now: datetime) -> int:
    ids = [row[0] for row in bulk_sql.fetch(which, [BATCH])]
    return close_alarms(ids, reason=reason, at=now)
