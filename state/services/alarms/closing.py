"""Close alarms without a report of their device: settled, orphaned, too old."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import partial
from typing import LiteralString

from django.db import transaction

from iotplatform.common import bulk_sql
from iotplatform.common.batches import until_drained
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.models import Alarm
from state.services.alarms import flapping
from state.services.alarms.changes import AlarmBatch
from state.services.presence.evidence import FUTURE_TOLERANCE

BATCH = 1_000  # alarms locked at a time: a bridge that needs them waits some 50 ms
BATCHES_A_RUN = 50
# As long as their change log, so that an alarm named in a timeline can be opened.
CLEARED_KEPT = timedelta(days=400)

# Rows locked by a bridge or another sweep are skipped; the next run comes soon.
_SETTLED = """
    SELECT id FROM state_alarm WHERE settles_at <= %s
    ORDER BY settles_at LIMIT %s FOR UPDATE SKIP LOCKED
"""
# Alarms of a clock that has been set back would settle too late. calm_since is null for
# a present alarm and must stay null, so least() cannot be used.
_SET_BACK = """
    UPDATE state_alarm a SET settles_at = v.settles_at,
        calm_since = CASE WHEN a.calm_since > v.now THEN v.now ELSE a.calm_since END
    FROM (SELECT %s::timestamptz AS settles_at, %s::timestamptz AS now) v
    WHERE a.id IN (
        SELECT id FROM state_alarm WHERE settles_at > %s
        ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    )
"""
# A running batch may raise an alarm for a rule that was just switched off or deleted.
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
    """Clear these alarms, which the caller has locked, and log the reason."""
    batch = AlarmBatch()
    for alarm in Alarm.objects.filter(pk__in=alarm_ids).exclude(
        state=AlarmState.CLEARED
    ):
        flapping.close(alarm, at)
        batch.update(alarm)
        batch.log(alarm, AlarmMove.CLEARED, reason, at, by_id)
    batch.write()
    return len(batch.changed)


def settle_across_tenants(*, now: datetime) -> int:
    """End the flapping of alarms that have not changed lately; return how many."""
    return _drain(partial(_settle, now))


def restart_future_settling_across_tenants(*, now: datetime) -> int:
    """Restart settling times in the future: the platform's clock was set back."""
    latest = now + flapping.SETTLE_AFTER
    params = [latest, now, latest + FUTURE_TOLERANCE, BATCH]
    return _drain(partial(bulk_sql.run, _SET_BACK, params))


def end_orphans_across_tenants(*, now: datetime) -> int:
    """Clear alarms that no signal will clear: rule is off, or device out of service."""
    return _drain(partial(_end, _RULE_IS_OFF, AlarmReason.RULE_OFF, now)) + _drain(
        partial(_end, _OUT_OF_SERVICE, AlarmReason.OUT_OF_SERVICE, now)
    )


def forget_cleared_across_tenants(*, now: datetime) -> int:
    """Delete alarms that were cleared longer ago than CLEARED_KEPT; return how many."""
    return _drain(partial(bulk_sql.run, _FORGET, [now - CLEARED_KEPT, BATCH]))


def _drain(step: Callable[[], int]) -> int:
    return until_drained(step, batch=BATCH, most=BATCHES_A_RUN)


@transaction.atomic
def _settle(now: datetime) -> int:
    ids = [row[0] for row in bulk_sql.fetch(_SETTLED, [now, BATCH])]
    batch = AlarmBatch()
    for alarm in Alarm.objects.filter(pk__in=ids):
        flapping.settle(alarm, now)
        is_over = alarm.state == AlarmState.CLEARED
        move = AlarmMove.CLEARED if is_over else AlarmMove.STEADY
        batch.update(alarm)
        batch.log(alarm, move, AlarmReason.SETTLED, now)
    batch.write()
    return len(ids)


@transaction.atomic
def _end(which: LiteralString, reason: AlarmReason, now: datetime) -> int:
    ids = [row[0] for row in bulk_sql.fetch(which, [BATCH])]
    return close_alarms(ids, reason=reason, at=now)
