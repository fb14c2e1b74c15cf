"""Flapping alarms: kept open as one alarm until they settle.

Pure, except for one query. A person is notified of the first raise and of the second,
because a repaired fault may come back once. After the third raise within the window the
alarm flaps: a clear only notes that it is away, a raise that it is back, and it stays
one open alarm, acknowledged if it was. It settles when nothing has changed for
SETTLE_AFTER.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from iotplatform.common import bulk_sql
from state.choices import AlarmState
from state.models import Alarm
from state.services.alarms.signal import Signal

Key = tuple[int, str]

FLAP_RAISES = 3  # raises within the window that make an alarm flap
# A person who gets the same alarm again within half an hour can do nothing more.
FLAP_WINDOW = timedelta(minutes=30)
# An alarm that flaps at this pace never settles between two changes. A slower one gives
# at most four alarms an hour.
SETTLE_AFTER = FLAP_WINDOW / (FLAP_RAISES - 1)

# Not by last_at: a held-back alarm is raised later than its last report, and an alarm
# that stays is reported again without coming back.
_RAISED_LATELY = f"""
    SELECT a.device_id, a.code, a.raised_at, a.back_at, a.flaps FROM state_alarm a
    JOIN {bulk_sql.unnest(Alarm, "device_id", "code")}
        ON a.device_id = v.device_id AND a.code = v.code
    WHERE greatest(a.raised_at, a.back_at) > %s
"""


class RecentRaises:
    """When the alarms of a batch were raised within the flap window."""

    def __init__(self, keys: Collection[Key], *, now: datetime) -> None:
        self._moments: dict[Key, list[datetime]] = defaultdict(list)
        if not keys:
            return
        params = [*bulk_sql.columns_of(sorted(keys), 2), now - FLAP_WINDOW]
        for device_id, code, raised_at, back_at, flaps in bulk_sql.fetch(
            _RAISED_LATELY, params
        ):
            moments = self._moments[device_id, code]
            moments.append(raised_at)
            moments += [back_at] * min(flaps, FLAP_RAISES) if back_at else []

    def add_raise(self, key: Key, at: datetime) -> bool:
        """Add a raise; return whether the alarm flaps now."""
        moments = self._moments[key]
        moments.append(at)
        return sum(moment > at - FLAP_WINDOW for moment in moments) >= FLAP_RAISES


def begin(alarm: Alarm, at: datetime) -> None:
    """Mark an alarm that was just raised as flapping."""
    alarm.flapping_since = at
    alarm.settles_at = at + SETTLE_AFTER


def repeat(alarm: Alarm, signal: Signal) -> None:
    """Count one more report of an open alarm; its latest severity and text stay."""
    alarm.count += 1
    alarm.last_at = max(alarm.last_at, signal.at)
    alarm.severity = signal.severity
    alarm.message = signal.message or alarm.message
    if alarm.flapping_since is not None and alarm.calm_since is not None:
        alarm.flaps += 1
        alarm.back_at = signal.at
        alarm.calm_since = None
        alarm.settles_at = signal.at + SETTLE_AFTER


def clear(alarm: Alarm, signal: Signal) -> bool:
    """Apply a clear; return whether it closes the alarm (a flapping one stays open)."""
    if alarm.flapping_since is None:
        close(alarm, signal.at)
        return True
    if alarm.calm_since is None:
        alarm.calm_since = signal.at
        alarm.settles_at = signal.at + SETTLE_AFTER
    return False


def settle(alarm: Alarm, now: datetime) -> None:
    """End the flapping: close the alarm if it is away; else it is a normal alarm."""
    if alarm.calm_since is not None:
        close(alarm, now)  # flapping_since stays, for people to read
        return
    alarm.flapping_since = alarm.settles_at = None


def close(alarm: Alarm, at: datetime) -> None:
    alarm.state, alarm.cleared_at = AlarmState.CLEARED, at
    alarm.settles_at = None
