"""Apply one message to the presence evidence of its device.

Two bridges share the uplink, so messages of one device may arrive out of order. So
changes are ordered by (boot, seq), or by arrival, if these are known; else the maximum
wins.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from iotplatform.common.device_clock import from_milliseconds, plausible_time
from state.choices import Departure

if TYPE_CHECKING:
    from iotplatform.common.messages import Status, Uplink
    from state.services.presence.locked_rows import PresenceRow

WINDOW = 64
MASK = (1 << WINDOW) - 1
LONGEST_SLEEP = timedelta(days=31)
# A stored time this far in the future was written before the platform's clock was set
# back; hosts that keep time do not differ so much.
FUTURE_TOLERANCE = timedelta(minutes=1)


def apply_message(row: PresenceRow, uplink: Uplink) -> bool:
    """Apply one message; return False for a repeat, which is only counted."""
    if uplink.kind == "status" and _status(uplink).status == "offline":
        _apply_will(row, uplink)  # sent by the broker: no activity of the device
        return True
    if _is_repeat(row, uplink.message.boot, uplink.message.seq):
        row.repeats += 1
        return False
    is_newest = row.last_activity_at is None or uplink.at >= row.last_activity_at
    note_activity(row, uplink.at)
    if is_newest and uplink.message.ts is not None:
        row.clock_skew = plausible_time(uplink.message.ts, uplink.at) is None
    if uplink.kind == "status":
        _apply_status(row, uplink, is_newest=is_newest)
    return True


def clamp_to_now(row: PresenceRow, now: datetime) -> None:
    """Set times in the future to now: the platform's clock was set back.

    Times in the future would hide every silence and every will until then.
    """
    if row.last_seen_at is None or row.last_seen_at <= now:
        return
    if row.last_seen_at <= now + FUTURE_TOLERANCE:
        return
    row.last_seen_at = now
    if row.last_activity_at is not None:
        row.last_activity_at = min(row.last_activity_at, now)
    if row.left_at is not None:
        row.left_at = min(row.left_at, now)
    if row.waiting_at is not None:
        row.waiting_at = min(row.waiting_at, now)


def is_birth(uplink: Uplink) -> bool:
    """Return whether the message is a birth: the device has connected."""
    return uplink.kind == "status" and _status(uplink).status == "online"


def is_leaving(uplink: Uplink) -> bool:
    """Return whether the message says that the device left: a will or a goodbye."""
    return uplink.kind == "status" and _status(uplink).status in ("offline", "goodbye")


def note_activity(row: PresenceRow, at: datetime) -> None:
    """Note a valid message of the device, or one that it relayed."""
    is_newest = row.last_activity_at is None or at >= row.last_activity_at
    if is_newest:
        row.last_activity_at = at
        if row.sleeping_until is not None:
            row.sleeping_until = None
            _end_waiting(row, row.waiting_at or at)
    note_seen(row, at)


def note_seen(row: PresenceRow, at: datetime) -> None:
    """Note that a message arrived, valid or not: so the device has not left."""
    if row.last_seen_at is None or at > row.last_seen_at:
        row.last_seen_at = at
    is_effective = row.left_session in ("", row.session)
    if is_effective and row.left_at is not None and at > row.left_at:
        _forget_departure(row)


def _is_repeat(row: PresenceRow, boot: int | None, seq: int | None) -> bool:
    """Return whether (boot, seq) was ingested before, and remember it."""
    if boot is None:
        return False
    if row.boot is None or boot > row.boot:
        row.boot, row.seq_high, row.seq_window = boot, None, 0
        # The known session belongs to an earlier boot and is over, even if the birth of
        # the new one, which another bridge has, is not here yet. Its will is void.
        row.session, row.session_seq = "", None
    if seq is None:
        return False
    if boot == row.boot and row.seq_high is None:
        row.seq_high, row.seq_window = seq, 1
        return False
    # From an earlier boot, or older than the window: we cannot know, so it is ingested
    # (at least once) and not lost.
    if boot < row.boot or row.seq_high is None or seq <= row.seq_high - WINDOW:
        return False
    window = row.seq_window & MASK
    if seq > row.seq_high:
        window = (window << min(seq - row.seq_high, WINDOW)) & MASK
        row.seq_high = seq
    bit = 1 << (row.seq_high - seq)
    if window & bit:
        return True
    window |= bit
    row.seq_window = window - (1 << WINDOW) if window >> (WINDOW - 1) else window
    return False


def _apply_status(row: PresenceRow, uplink: Uplink, *, is_newest: bool) -> None:
    message = _status(uplink)
    if message.status == "online":
        if _is_old_birth(row, message):
            return
        row.session = message.session or ""
        row.session_seq = message.seq
        row.heartbeat_seconds = message.heartbeat_seconds
        _settle_departures(row, uplink.at)
    elif not is_newest:
        return
    elif message.status == "goodbye":
        _depart(row, Departure.GOODBYE, message.session or "", uplink.at)
    elif message.status == "sleeping":
        row.heartbeat_seconds = message.heartbeat_seconds or row.heartbeat_seconds
        row.sleeping_until = _sleeping_until(uplink)
        if (left_at := row.left_at) and row.left_how != Departure.GOODBYE:
            how, session = row.left_how, row.left_session
            _forget_departure(row)
            _depart(row, how, session, left_at)  # now it may have to wait


def _is_old_birth(row: PresenceRow, message: Status) -> bool:
    """Return whether a newer birth is known, by the device's own count."""
    if message.boot is None or row.boot is None:
        return False
    if message.boot != row.boot:
        return bool(message.boot < row.boot)
    if message.seq is None or row.session_seq is None:
        return False
    return bool(message.seq < row.session_seq)


def _apply_will(row: PresenceRow, uplink: Uplink) -> None:
    """Note a will as evidence; the judgment checks whether it is of this session."""
    message = _status(uplink)
    session = message.session or ""
    if session in ("", row.session):
        if row.last_activity_at is not None and uplink.at < row.last_activity_at:
            return  # a later message cancels it
    elif _is_of_an_old_boot(row, message):
        return
    how = Departure.WILL if session else Departure.WILL_WITHOUT_SESSION
    _depart(row, how, session, uplink.at)


def _is_of_an_old_boot(row: PresenceRow, message: Status) -> bool:
    if message.boot is None or row.boot is None:
        return False
    return bool(message.boot < row.boot)


def _depart(row: PresenceRow, how: str, session: str, at: datetime) -> None:
    """Note how a session ended, or keep that for later (``waiting_…``).

    A session other than the current one is either over, or its birth is still with
    another bridge. A session that ends during an announced sleep has only left if it
    turns out that the device was awake by then. The latest such end waits.
    """
    is_will = how != Departure.GOODBYE
    if session in ("", row.session) and not (is_will and _sleeps_at(row, at)):
        if row.left_at is None or at >= row.left_at:
            row.left_how, row.left_session, row.left_at = how, session, at
    elif row.waiting_at is None or at >= row.waiting_at:
        row.waiting_how, row.waiting_session, row.waiting_at = how, session, at


def _settle_departures(row: PresenceRow, born_at: datetime) -> None:
    """Forget the departures that do not concern the session that has just begun."""
    is_of_it = bool(row.session) and row.left_session == row.session
    came_after = not row.left_session and row.left_at and row.left_at > born_at
    if not (is_of_it or came_after):
        _forget_departure(row)
    _end_waiting(row, born_at)


def _end_waiting(row: PresenceRow, began_at: datetime) -> None:
    """Apply a waiting departure if it belongs to the current session after all.

    ``began_at`` is when that became known; only later messages cancel the departure.
    """
    at = row.waiting_at
    if at is None or row.waiting_session not in ("", row.session):
        return
    how, session = row.waiting_how, row.waiting_session
    row.waiting_how, row.waiting_session, row.waiting_at = Departure.NONE, "", None
    if row.last_activity_at is None or max(at, began_at) >= row.last_activity_at:
        _depart(row, how, session, at)


def _sleeps_at(row: PresenceRow, at: datetime | None) -> bool:
    """Return whether the device announced to be asleep at that time."""
    return bool(at and row.sleeping_until and row.sleeping_until > at)


def _sleeping_until(uplink: Uplink) -> datetime | None:
    """Return when it will wake, in the platform's time if the message has a time."""
    message = _status(uplink)
    if message.until is None or (until := from_milliseconds(message.until)) is None:
        return None
    if message.ts is not None and (sent_at := from_milliseconds(message.ts)):
        until = uplink.at + (until - sent_at)
    if until <= uplink.at:
        return None
    return min(until, uplink.at + LONGEST_SLEEP)


def _status(uplink: Uplink) -> Status:
    return cast("Status", uplink.message)


def _forget_departure(row: PresenceRow) -> None:
    row.left_how, row.left_session, row.left_at = Departure.NONE, "", None
