"""Judge connectivity: presence evidence in, a verdict with its cause out.

Pure: no database, no clock. The first rule of ``judge`` that applies decides. Silence
counts only over time in which the platform listened. That a device left (a will, a
goodbye) is known from a message, so an outage of the platform does not put it in doubt.
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
class PresenceEvidence:
    """What is known of one device's presence."""

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
    """The verdict on a child's gateway, which is judged first."""

    connectivity: str
    cause: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Listening:
    """When the platform did not listen: past spans in order, and the current one."""

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
    """A silence, without the times in which the platform was blind."""

    total: timedelta
    longest: timedelta  # the longest part in which the platform listened all the time
    clean_from: datetime | None  # start of the current part; None: blind now
    is_cut: bool


class RecentEvidence(Protocol):
    """The part of the evidence that ``online_until`` needs."""

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
    evidence: RecentEvidence, *, gateway: Gateway | None, now: datetime
) -> datetime | None:
    """Return until when a device that was just heard stays online without a cause.

    None means that ``judge`` must decide. Otherwise ``judge`` would give the same
    answer: only its last rule can apply. This is a shortcut for speed: nearly every
    message is from such a device, and most of a batch's time went into checking the
    other rules.
    """
    at = evidence.last_activity_at
    if at is None or evidence.last_seen_at != at:
        return None
    if evidence.left_how or evidence.sleeping_until is not None:
        return None
    if gateway is not None and (
        gateway.connectivity != Connectivity.ONLINE
        or gateway.since is None
        or gateway.since > at
    ):
        return None
    until = at + SUSPECT_AFTER * evidence.interval
    return until if until > now else None


def judge(
    evidence: PresenceEvidence,
    *,
    listening: Listening,
    gateway: Gateway | None,
    now: datetime,
) -> Verdict:
    """Return the verdict of the first rule that applies; judge gateways first."""
    if evidence.last_seen_at is None:
        return Verdict(Connectivity.OFFLINE, Cause.NEVER_CONNECTED)
    if evidence.sleeping_until is not None and evidence.sleeping_until > now:
        return Verdict(Connectivity.ONLINE, Cause.SLEEPING, evidence.sleeping_until)
    quiet_from = _quiet_from(evidence, gateway)
    silence = _silence(quiet_from, listening, now)
    departure = _departure(evidence, now)
    if departure is None and (blind := _blind(evidence, silence, now)):
        return blind
    # From then on, an outage of the platform may explain the silence.
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
    evidence: PresenceEvidence,
    silence: _Silence,
    departure: Verdict | None,
    now: datetime,
) -> Verdict | None:
    """Return the verdict on a silence during which the platform listened."""
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
    """Return the earlier of the two; a doubtful will is accepted within seconds."""
    accepted_at = departure.next_change_at if departure else None
    return min(moment, accepted_at or moment)


def _blind(
    evidence: PresenceEvidence, silence: _Silence, now: datetime
) -> Verdict | None:
    """Return stale while the platform was blind in a silence long enough to judge."""
    suspect_after = SUSPECT_AFTER * evidence.interval
    if not silence.is_cut or silence.total < suspect_after:
        return None
    if silence.longest >= OFFLINE_AFTER * evidence.interval:
        return None  # it was silent long enough while the platform listened
    start = silence.clean_from or now  # still blind: that ends now at the earliest
    if now - start >= suspect_after:
        return None
    return Verdict(Connectivity.STALE, Cause.PLATFORM_BLIND, start + suspect_after)


def _quiet_from(evidence: PresenceEvidence, gateway: Gateway | None) -> datetime:
    """Return when the silence that counts against the device began."""
    moments = [evidence.last_activity_at or evidence.last_seen_at]
    if evidence.sleeping_until is not None:
        moments.append(evidence.sleeping_until)
    if gateway is not None and gateway.connectivity == Connectivity.ONLINE:
        moments.append(gateway.since)  # it could not send while its gateway was away
    return max(moment for moment in moments if moment is not None)


def _departure(evidence: PresenceEvidence, now: datetime) -> Verdict | None:
    """Return the verdict from how the device left, if it left."""
    if evidence.left_session not in ("", evidence.session):
        return None  # another session ended, not the current one
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
    evidence: PresenceEvidence, silence: _Silence, listening: Listening, now: datetime
) -> datetime | None:
    """Return when to judge again a device that sends only invalid messages, or None.

    It is one if messages came, but no valid one for five intervals.
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
    """Measure the time from ``start`` to ``now`` without the blind spans."""
    begin, longest, is_cut = start, timedelta(0), False
    blind_since = listening.blind_since
    if blind_since is not None and blind_since >= now:
        blind_since = None
    first = bisect_right(listening.spans, start, key=lambda span: span[1])
    for blind_from, blind_to in listening.spans[first:]:
        if blind_from >= (blind_since or now):
            break  # another slot's span, inside the current outage
        is_cut = True
        longest = max(longest, blind_from - begin)
        begin = max(begin, blind_to)
    if blind_since is not None:
        longest = max(longest, blind_since - begin)
        return _Silence(now - start, longest, None, True)
    begin = min(begin, now)
    longest = max(longest, now - begin)
    return _Silence(now - start, longest, begin, is_cut)
