"""The open and held alarms of a rule that somebody changes, switches off or deletes.

A batch of devices at a time, in key order and presence rows first, as in ingest. What
a batch under way still raises for a rule that is off, the sweep for orphans clears.
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
from state.services.alarms.changes import AlarmBook
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


def end_all(
    rule: AlarmRule, reason: AlarmReason, *, now: datetime, by_id: int | None
) -> None:
    """Clear every open alarm of a rule, and hold nothing of it any more."""
    for device_ids in _concerned(rule):
        with transaction.atomic():
            lock_rows(device_ids)
            bulk_sql.run(_DROP_HELD, [rule.pk, device_ids])
            book = AlarmBook()
            for alarm in _lock_alarms(rule, device_ids):
                _close(book, alarm, reason, now, by_id)
            book.write()


def judge_anew(
    rule: AlarmRule, *, held_for: int, now: datetime, by_id: int | None
) -> None:
    """Judge the latest values by a rule that was changed: end what is no alarm by it.

    In the band of the hysteresis all stays as it was, and so does what has no value.
    What is held goes on, for as long as the rule asks now.
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
            book = AlarmBook()
            for alarm in _lock_alarms(rule, device_ids):
                if alarm.device_id in over:
                    _close(book, alarm, AlarmReason.RULE_CHANGED, now, by_id)
                elif alarm.severity != rule.severity:
                    alarm.severity = rule.severity
                    book.touch(alarm)
                    why = AlarmReason.RULE_CHANGED
                    book.tell(alarm, AlarmMove.SEVERITY, why, now, by_id)
            book.write()


def _concerned(rule: AlarmRule) -> Iterator[list[int]]:
    """Yield the devices with an open or held alarm of a rule, a batch at a time."""
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
    book: AlarmBook,
    alarm: Alarm,
    reason: AlarmReason,
    now: datetime,
    by_id: int | None,
) -> None:
    flapping.close(alarm, now)
    book.touch(alarm)
    book.tell(alarm, AlarmMove.CLEARED, reason, now, by_id)
