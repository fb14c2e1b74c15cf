"""Alarms of a batch or a sweep: locked, changed in memory, written with change log."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Q

from iotplatform.common import bulk_sql
from state.choices import AlarmMove, AlarmReason, AlarmState
from state.models import Alarm, AlarmChange
from state.services.alarms.flapping import Key

_LOCK = f"""
    SELECT a.id FROM state_alarm a
    JOIN {bulk_sql.unnest(Alarm, "device_id", "code")}
        ON a.device_id = v.device_id AND a.code = v.code
    WHERE a.state <> 'cleared' ORDER BY a.id FOR UPDATE OF a
"""
_COLUMNS = (
    "severity",
    "state",
    "message",
    "count",
    "last_at",
    "cleared_at",
    "flapping_since",
    "flaps",
    "back_at",
    "calm_since",
    "settles_at",
)
_WRITE = bulk_sql.update_by_key(Alarm, *_COLUMNS)


@dataclass(slots=True)
class AlarmBatch:
    """The new and changed alarms of a batch, and their change log."""

    raised: list[Alarm] = field(default_factory=list)
    changed: dict[int, Alarm] = field(default_factory=dict)
    _logged: list[tuple[Alarm, AlarmChange]] = field(default_factory=list)

    def update(self, alarm: Alarm) -> None:
        """Write this changed alarm later; a new one is written anyway."""
        if alarm.pk:
            self.changed[alarm.pk] = alarm

    def log(
        self,
        alarm: Alarm,
        move: AlarmMove,
        reason: AlarmReason,
        at: datetime,
        by_id: int | None = None,
    ) -> None:
        """Add a change to the change log, with the alarm's present values."""
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
        self._logged.append((alarm, change))

    def write(self) -> None:
        """Write everything in three statements.

        Cleared alarms are written first, so the same code may be raised again.
        """
        rows = [
            (pk, *(getattr(alarm, name) for name in _COLUMNS))
            for pk, alarm in sorted(self.changed.items())  # in key order, as everywhere
        ]
        if rows:
            bulk_sql.run(_WRITE, bulk_sql.columns_of(rows, 1 + len(_COLUMNS)))
        Alarm.objects.bulk_create(self.raised)
        for alarm, change in self._logged:
            change.alarm_id = alarm.pk
        AlarmChange.objects.bulk_create([change for _, change in self._logged])


def lock_open(keys: Collection[Key]) -> dict[Key, Alarm]:
    """Lock the open alarms of these devices and codes, in key order."""
    columns = bulk_sql.columns_of(sorted(keys), 2)
    ids = [row[0] for row in bulk_sql.fetch(_LOCK, columns)]
    if not ids:
        return {}
    alarms = Alarm.objects.filter(~Q(state=AlarmState.CLEARED), pk__in=ids)
    return {(alarm.device_id, alarm.code): alarm for alarm in alarms}
