"""The one judgment of connectivity: evidence in, verdict with its cause out.

Pure: no database, no clock. The first row of the table in `judge` that holds decides.
Silence is a verdict only over time in which we listened; that a device left (a will, a
goodbye) we know from what arrived, so blindness does not put that in doubt.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from state.choices import Cause, Connectivity, Departure

SUSPECT_AFTER = 2  # intervals of silence
OFFLINE_AFTER = 5
BARE_WILL_GRACE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one device."""

    last_seen_at: datetime | None
    last_activity_at: datetime | None
    interval: timedelta
    sleeping_until: datetime | None = None
    session: str = ""
    left_how: str = Departure.NONE
    left_session: str = ""
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """How the gateway of a child was judged, before the child."""

    connectivity: str
    cause: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Listening:
    """When we did not listen: past spans by time, and the one that lasts."""

    spans: tuple[tuple[datetime, datetime], ...] = ()
    blind_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A value, its cause, and when time alone may change it."""

    connectivity: Connectivity
    cause: Cause
    next_change_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Silence:
    """Silence since a moment, cut where we were blind."""

    total: timedelta
    longest: timedelta  # the longest stretch through which we listened
    clean_from: datetime | None  # where the stretch that lasts began; None: blind
    is_cut: bool


class Heard(Protocol):
    """The evidence that tells a device that speaks from one that is to be judged."""

    @property
    def last_seen_at(self) -> datetime | None: ...
    @property
    def last_activity_at(self) -> datetime | None: ...
    @property
    def sleeping_until(self) -> datetime | None: ...
    @property
    def left_how(self) -> str: ...
    @property
    def interval(self) -> timedelta: ...


def online_until(
    heard: Heard, *, gateway: Gateway | None, now: datetime
) -> datetime | None:
    """Say of a device that was heard just now until when it is online without a cause.

    None where ``judge`` must be asked. It would say the same of the others: nothing but
    its last rule can hold, whether we listened or not. Nearly every message is of such
    a device, and most of a batch's time went into looking at the other rules.
    """
    at = heard.last_activity_at
    if at is None or heard.last_seen_at != at:
        return None
    if heard.left_how or heard.sleeping_until is not None:
        return None
    if gateway is not None and (
        gateway.connectivity != Connectivity.ONLINE
        or gateway.since is None
        or gateway.since > at
    ):
        return None
    until = at + SUSPECT_AFTER * heard.interval
    return until if until > now else None


def judge(
    evidence: Evidence,
    *,
    listening: Listening,
    gateway: Gateway | None,
    now: datetime,
) -> Verdict:
    """Return the verdict of the first rule that holds; gateways are judged first."""
    if evidence.last_seen_at is None:
        return Verdict(Connectivity.OFFLINE, Cause.NEVER_CONNECTED)
    if evidence.sleeping_until is not None and evidence.sleeping_until > now:
        return Verdict(Connectivity.ONLINE, Cause.SLEEPING, evidence.sleeping_until)
    quiet_from = _quiet_from(evidence, gateway)
    silence = _silence(quiet_from, listening, now)
    departure = _departure(evidence, now)
    if departure is None and (blind := _blind(evidence, silence, now)):
        return blind
    # From then on, blindness may explain what is not heard.
    look_at = quiet_from + SUSPECT_AFTER * evidence.interval
    if gateway is not None and gateway.connectivity != Connectivity.ONLINE:
        if gateway.cause == Cause.PLATFORM_BLIND:
            return Verdict(Connectivity.STALE, Cause.PLATFORM_BLIND)
        until = look_at if look_at > now else None
        return Verdict(Connectivity.STALE, Cause.GATEWAY_OFFLINE, until)
    if (until := _junk_until(evidence, silence, listening, now)) is not None:
        until = min(until, look_at) if look_at > now else until
        until = _soonest(until, departure)
        return Verdict(Connectivity.STALE, Cause.INVALID_MESSAGES, until)
    if departure is not None and departure.connectivity == Connectivity.OFFLINE:
        return departure
    return (
        _silent(evidence, silence, departure, now)
        or departure
        or Verdict(Connectivity.ONLINE, Cause.NONE, look_at)
    )


def _silent(
    evidence: Evidence, silence: _Silence, departure: Verdict | None, now: datetime
) -> Verdict | None:
    """Return the verdict on a silence through which we listened."""
    offline_after = OFFLINE_AFTER * evidence.interval
    if silence.longest >= offline_after:
        until = departure.next_change_at if departure else None
        return Verdict(Connectivity.OFFLINE, Cause.MISSED_HEARTBEATS, until)
    clean_from = silence.clean_from
    if clean_from is None or now - clean_from < SUSPECT_AFTER * evidence.interval:
        return None
    until = _soonest(clean_from + offline_after, departure)
    return Verdict(Connectivity.SUSPECT, Cause.MISSED_HEARTBEAT, until)


def _soonest(moment: datetime, departure: Verdict | None) -> datetime:
    """Return the earlier: a will that is only doubted yet is believed in seconds."""
    believed_at = departure.next_change_at if departure else None
    return min(moment, believed_at or moment)


def _blind(evidence: Evidence, silence: _Silence, now: datetime) -> Verdict | None:
    """Return stale while a silence long enough to judge is one that we missed."""
    suspect_after = SUSPECT_AFTER * evidence.interval
    if not silence.is_cut or silence.total < suspect_after:
        return None
    if silence.longest >= OFFLINE_AFTER * evidence.interval:
        return None  # it was silent for long enough while we did listen
    start = silence.clean_from or now  # blind still: it ends now at the earliest
    if now - start >= suspect_after:
        return None
    return Verdict(Connectivity.STALE, Cause.PLATFORM_BLIND, start + suspect_after)


def _quiet_from(evidence: Evidence, gateway: Gateway | None) -> datetime:
    """Return when the silence began that counts against the device."""
    moments = [evidence.last_activity_at or evidence.last_seen_at]
    if evidence.sleeping_until is not None:
        moments.append(evidence.sleeping_until)
    if gateway is not None and gateway.connectivity == Connectivity.ONLINE:
        moments.append(gateway.since)  # it could not speak while its gateway was away
    return max(moment for moment in moments if moment is not None)


def _departure(evidence: Evidence, now: datetime) -> Verdict | None:
    """Return the verdict from how the device left, if it did."""
    if evidence.left_session not in ("", evidence.session):
        return None  # of another connection than the current one
    how, left_at = evidence.left_how, evidence.left_at
    if how == Departure.GOODBYE:
        return Verdict(Connectivity.OFFLINE, Cause.GOODBYE)
    if how == Departure.WILL:
        return Verdict(Connectivity.OFFLINE, Cause.LAST_WILL)
    if how == Departure.WILL_WITHOUT_SESSION and left_at is not None:
        if now < left_at + BARE_WILL_GRACE:
            return Verdict(
                Connectivity.SUSPECT,
                Cause.WILL_WITHOUT_SESSION,
                left_at + BARE_WILL_GRACE,
            )
        return Verdict(Connectivity.OFFLINE, Cause.LAST_WILL)
    return None


def _junk_until(
    evidence: Evidence, silence: _Silence, listening: Listening, now: datetime
) -> datetime | None:
    """Return when to look again at a device of which only junk is heard, or None.

    It is one if something came, and nothing valid for five intervals.
    """
    seen, valid = evidence.last_seen_at, evidence.last_activity_at
    offline_after = OFFLINE_AFTER * evidence.interval
    if seen is None or (valid is not None and seen <= valid):
        return None
    if valid is not None and silence.longest < offline_after:
        return None
    unheard = _silence(seen, listening, now)
    if unheard.longest >= offline_after:
        return None
    return (unheard.clean_from or now) + offline_after


def _silence(start: datetime, listening: Listening, now: datetime) -> _Silence:
    """Cut the time from ``start`` to ``now`` where we were blind."""
    begin, longest, is_cut = start, timedelta(0), False
    blind_since = listening.blind_since
    if blind_since is not None and blind_since >= now:
        blind_since = None
    first = bisect_right(listening.spans, start, key=lambda span: span[1])
    for blind_from, blind_to in listening.spans[first:]:
        if blind_from >= (blind_since or now):
            break  # another slot's, while this one was not read either
        is_cut = True
        longest = max(longest, blind_from - begin)
        begin = max(begin, blind_to)
    if blind_since is not None:
        longest = max(longest, blind_since - begin)
        return _Silence(now - start, longest, None, True)
    begin = min(begin, now)
    longest = max(longest, now - begin)
    return _Silence(now - start, longest, begin, is_cut)
