"""Update the open and held-back alarms of a rule that is changed, off or deleted.

Works in batches of devices, in key order, presence rows first, as ingest does. A
running batch may still raise an alarm for a rule that is off: the sweep for orphans
clears it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q

from iotplatform.common import bulk_sql
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.models import Alarm
from state.services.alarms import flapping
from state.services.alarms.changes import AlarmBatch
from state.services.alarms.thresholds import Threshold, is_beyond
from state.services.presence.locked_rows import lock_rows

if TYPE_CHECKING:
    from state.models import AlarmRule

BATCH = 1_000  # devices whose presence is locked at a time

_DEVICES = """
    SELECT device_id FROM (
        SELECT device_id FROM state_alarm WHERE rule_id = %s AND state <> 'cleared'
        UNION SELECT device_id FROM state_heldalarm WHERE rule_id = %s
    ) concerned WHERE device_id > %s ORDER BY device_id LIMIT %s
"""
_DROP_HELD = "DELETE FROM state_heldalarm WHERE rule_id = %s AND device_id = ANY(%s)"
_LATEST = """
    SELECT device_id, (latest -> %s ->> 'value')::float8 FROM state_telemetrysummary
    WHERE device_id = ANY(%s) AND latest -> %s ->> 'value' IS NOT NULL
"""
_MOVE_HELD = """
    UPDATE state_heldalarm SET severity = %s, due_at = due_at + %s,
        look_at = greatest(due_at + %s, look_at + %s)
    WHERE rule_id = %s AND device_id = ANY(%s)
"""


def close_alarms(
    rule: AlarmRule, reason: AlarmReason, *, now: datetime, by_id: int | None
) -> None:
    """Clear every open alarm of a rule, and drop its held-back alarms."""
    for device_ids in _concerned(rule):
        with transaction.atomic():
            lock_rows(device_ids)
            bulk_sql.run(_DROP_HELD, [rule.pk, device_ids])
            batch = AlarmBatch()
            for alarm in _lock_alarms(rule, device_ids):
                _close(batch, alarm, reason, now, by_id)
            batch.write()


def rejudge_alarms(
    rule: AlarmRule, *, held_for: int, now: datetime, by_id: int | None
) -> None:
    """Judge the latest values by a changed rule; clear alarms that no longer apply.

    Alarms within the hysteresis, or without a value, stay. Held-back alarms go on with
    the new hold time.
    """
    threshold = Threshold(
        rule.product_id,
        rule.metric,
        rule.comparison,
        rule.threshold,
        rule.hysteresis,
        rule.hold_seconds,
        rule.severity,
        rule.code,
        rule.pk,
    )
    longer = timedelta(seconds=rule.hold_seconds - held_for)
    for device_ids in _concerned(rule):
        with transaction.atomic():
            lock_rows(device_ids)
            rows = bulk_sql.fetch(_LATEST, [rule.metric, device_ids, rule.metric])
            over = {pk for pk, value in rows if is_beyond(threshold, value) is False}
            bulk_sql.run(_DROP_HELD, [rule.pk, sorted(over)])
            bulk_sql.run(
                _MOVE_HELD,
                [rule.severity, longer, longer, longer, rule.pk, device_ids],
            )
            batch = AlarmBatch()
            for alarm in _lock_alarms(rule, device_ids):
                if alarm.device_id in over:
                    _close(batch, alarm, AlarmReason.RULE_CHANGED, now, by_id)
                elif alarm.severity != rule.severity:
                    alarm.severity = rule.severity
                    batch.update(alarm)
                    why = AlarmReason.RULE_CHANGED
                    batch.log(alarm, AlarmMove.SEVERITY, why, now, by_id)
            batch.write()


def _concerned(rule: AlarmRule) -> Iterator[list[int]]:
    """Yield the devices with an open or held-back alarm of a rule, in batches."""
    after = 0
    while found := bulk_sql.fetch(_DEVICES, [rule.pk, rule.pk, after, BATCH]):
        ids = [row[0] for row in found]
        after = ids[-1]
        yield ids


def _lock_alarms(rule: AlarmRule, device_ids: list[int]) -> list[Alarm]:
    rows = Alarm.objects.filter(~Q(state=AlarmState.CLEARED), rule=rule.pk)
    return list(
        rows.filter(device__in=device_ids)
        .order_by("pk")
        .select_for_update(of=("self",))
    )


def _close(
    batch: AlarmBatch,
    alarm: Alarm,
    reason: AlarmReason,
    now: datetime,
    by_id: int | None,
) -> None:
    flapping.close(alarm, now)
    batch.update(alarm)
    batch.log(alarm, AlarmMove.CLEARED, reason, now, by_id)
