"""Alarms in the hand of a batch or a sweep: locked, changed, written, and recorded."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from iotplatform.common import bulk_sql
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.models import Alarm, AlarmChange
from state.services.alarms.flapping import Key

_LOCK = """
    SELECT a.id FROM state_alarm a
    JOIN unnest(%s::bigint[], %s::text[]) AS v(device_id, code)
        ON a.device_id = v.device_id AND a.code = v.code
    WHERE a.state <> 'cleared' ORDER BY a.id FOR UPDATE OF a
"""
_COLUMNS = {
    "severity": "text",
    "state": "text",
    "message": "text",
    "count": "integer",
    "last_at": "timestamptz",
    "cleared_at": "timestamptz",
    "flapping_since": "timestamptz",
    "flaps": "integer",
    "back_at": "timestamptz",
    "calm_since": "timestamptz",
    "settles_at": "timestamptz",
}
# Names and types of columns are constants of this module, never anybody's input.
_WRITE = f"""
    UPDATE state_alarm AS a SET {", ".join(f"{name} = v.{name}" for name in _COLUMNS)}
    FROM unnest(%s::bigint[], {", ".join(f"%s::{t}[]" for t in _COLUMNS.values())})
        AS v(id, {", ".join(_COLUMNS)})
    WHERE a.id = v.id
"""


@dataclass(slots=True)
class AlarmBook:
    """What a batch makes of its alarms: new ones, changed ones, and the history."""

    raised: list[Alarm] = field(default_factory=list)
    touched: dict[int, Alarm] = field(default_factory=dict)
    _story: list[tuple[Alarm, AlarmChange]] = field(default_factory=list)

    def open(self, alarm: Alarm) -> None:
        """Enter an alarm that is new."""
        self.raised.append(alarm)

    def touch(self, alarm: Alarm) -> None:
        """Have a changed alarm written; a new one is written anyway."""
        if alarm.pk:
            self.touched[alarm.pk] = alarm

    def tell(
        self,
        alarm: Alarm,
        move: AlarmMove,
        reason: AlarmReason,
        at: datetime,
        by_id: int | None = None,
    ) -> None:
        """Note what happened to an alarm, as it stands now."""
        change = AlarmChange(
            tenant_id=alarm.tenant_id,
            device_id=alarm.device_id,
            at=at,
            move=move,
            reason=reason,
            code=alarm.code,
            severity=alarm.severity,
            count=alarm.count,
            message=alarm.message,
            by_id=by_id,
        )
        self._story.append((alarm, change))

    def write(self) -> None:
        """Write it all: three statements, however many alarms.

        What is over is written first: then the same may begin anew.
        """
        write_alarms(self.touched.values())
        Alarm.objects.bulk_create(self.raised)
        for alarm, change in self._story:
            change.alarm_id = alarm.pk
        AlarmChange.objects.bulk_create([change for _, change in self._story])


def lock_open(keys: Collection[Key]) -> dict[Key, Alarm]:
    """Lock the open alarms of these devices and codes, in key order."""
    columns = bulk_sql.columns_of(sorted(keys), 2)
    ids = [row[0] for row in bulk_sql.fetch(_LOCK, columns)]
    if not ids:
        return {}
    alarms = Alarm.objects.filter(~Q(state=AlarmState.CLEARED), pk__in=ids)
    return {(alarm.device_id, alarm.code): alarm for alarm in alarms}


def write_alarms(alarms: Iterable[Alarm]) -> None:
    """Write what changed of these alarms, in key order."""
    rows = [
        (alarm.pk, *(getattr(alarm, name) for name in _COLUMNS))
        for alarm in sorted(alarms, key=lambda alarm: alarm.pk)
    ]
    if rows:
        bulk_sql.run(_WRITE, bulk_sql.columns_of(rows, 1 + len(_COLUMNS)))
