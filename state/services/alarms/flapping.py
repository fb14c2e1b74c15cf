"""Alarms that come and go: held open as one, until they settle.

Pure but for the two queries at the end. A person is called for the first time that
something is raised and for the second, because what was repaired may come back once.
The third time within the window says that it will not decide by itself: from then on a
clear only notes that it is away, and a raise that it is back, and the alarm stays one,
acknowledged if it was. It ends when it has not turned for as long as a turn may take.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta

from iotplatform.common import bulk_sql
from state.choices import AlarmState
from state.models import Alarm
from state.services.alarms.signal import Said

Key = tuple[int, str]

FLAP_RAISES = 3  # the third raise within the window is one too many
# Whoever gets an alarm again and again within half an hour can do nothing with the
# second that they did not do with the first.
FLAP_WINDOW = timedelta(minutes=30)
# What turns at the pace that makes it flapping is never let go between two turns; so
# slower than that it is at most four alarms an hour.
SETTLE_AFTER = FLAP_WINDOW / (FLAP_RAISES - 1)

# Not by the last word on it: what was held back is raised after that, and what stays
# is spoken of without coming back.
_RAISED_LATELY = """
    SELECT a.device_id, a.code, a.raised_at, a.back_at, a.flaps FROM state_alarm a
    JOIN unnest(%s::bigint[], %s::text[]) AS v(device_id, code)
        ON a.device_id = v.device_id AND a.code = v.code
    WHERE greatest(a.raised_at, a.back_at) > %s
"""


class Raises:
    """When the alarms of a batch were raised lately."""

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

    def is_one_too_many(self, key: Key, at: datetime) -> bool:
        """Enter one more raise; say whether it comes too often."""
        moments = self._moments[key]
        moments.append(at)
        return sum(moment > at - FLAP_WINDOW for moment in moments) >= FLAP_RAISES


def begin(alarm: Alarm, at: datetime) -> None:
    """Hold an alarm that was just raised as flapping."""
    alarm.flapping_since = at
    alarm.settles_at = at + SETTLE_AFTER


def repeat(alarm: Alarm, word: Said) -> None:
    """Count one more report of an open alarm; the latest word on it stands."""
    alarm.count += 1
    alarm.last_at = max(alarm.last_at, word.at)
    alarm.severity = word.severity
    alarm.message = word.message or alarm.message
    if alarm.flapping_since is not None and alarm.calm_since is not None:
        alarm.flaps += 1
        alarm.back_at = word.heard_at
        alarm.calm_since = None
        alarm.settles_at = word.heard_at + SETTLE_AFTER


def clear(alarm: Alarm, word: Said) -> bool:
    """Take the word that it is over; return whether that closes the alarm."""
    if alarm.flapping_since is None:
        close(alarm, word.at)
        return True
    if alarm.calm_since is None:
        alarm.calm_since = word.heard_at
        alarm.settles_at = word.heard_at + SETTLE_AFTER
    return False


def settle(alarm: Alarm, now: datetime) -> None:
    """End its flapping: closed if it is away, an alarm like others if it is there."""
    if alarm.calm_since is not None:
        close(alarm, now)  # that it flapped stays to be read
        return
    alarm.flapping_since = alarm.settles_at = None


def close(alarm: Alarm, at: datetime) -> None:
    """End an alarm."""
    alarm.state, alarm.cleared_at = AlarmState.CLEARED, at
    alarm.settles_at = None
