"""The judgment of connectivity: its rules, in their order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.choices import Cause, Connectivity, Departure
from state.judgment.connectivity import (
    Gateway,
    Listening,
    PresenceEvidence,
    Verdict,
    judge,
    online_until,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
LISTENING = Listening()


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def heard(minutes_ago: float, **more: object) -> PresenceEvidence:
    """Return the evidence of a device with an interval of a minute."""
    at = ago(minutes_ago)
    return replace(PresenceEvidence(at, at, MINUTE, session="s2"), **more)  # type: ignore[arg-type]


def verdict_on(
    evidence: PresenceEvidence,
    listening: Listening = LISTENING,
    gateway: Gateway | None = None,
) -> tuple[str, str]:
    verdict = judge(evidence, listening=listening, gateway=gateway, now=NOW)
    return verdict.connectivity, verdict.cause


ONLINE_GATEWAY = Gateway("online", "", ago(600))
LOST_GATEWAY = Gateway("offline", "last_will", ago(1))
BLIND_GATEWAY = Gateway("stale", "platform_blind", ago(1))
WILL = {"left_how": Departure.WILL, "left_at": ago(0.5)}
BARE = {"left_how": Departure.WILL_WITHOUT_SESSION}
GOODBYE = {"left_how": Departure.GOODBYE, "left_at": ago(0.5)}
BLIND_NOW = Listening(blind_since=ago(1))
BLIND_BEFORE = Listening(spans=((ago(4), ago(1)),))

TABLE = [
    (
        PresenceEvidence(None, None, MINUTE),
        Listening(),
        None,
        "offline",
        "never_connected",
    ),
    (heard(0), Listening(), None, "online", ""),
    (heard(1.9), Listening(), None, "online", ""),
    (heard(2), Listening(), None, "suspect", "missed_heartbeat"),
    (heard(4.9), Listening(), None, "suspect", "missed_heartbeat"),
    (heard(5), Listening(), None, "offline", "missed_heartbeats"),
    (
        heard(9, sleeping_until=NOW + MINUTE),
        Listening(),
        None,
        *("online", "sleeping"),
    ),
    (heard(9, sleeping_until=ago(1)), Listening(), None, "online", ""),
    (
        heard(9, sleeping_until=ago(6)),
        Listening(),
        None,
        *("offline", "missed_heartbeats"),
    ),
    # Will and goodbye: of the current session, of an old one, without one.
    (heard(1, left_session="s2", **WILL), Listening(), None, "offline", "last_will"),
    (heard(1, left_session="s1", **WILL), Listening(), None, "online", ""),
    (heard(1, left_session="s1", **GOODBYE), Listening(), None, "online", ""),
    (heard(1, **GOODBYE), Listening(), None, "offline", "goodbye"),
    (
        heard(1, left_at=NOW - timedelta(seconds=9), **BARE),
        Listening(),
        None,
        *("suspect", "will_without_session"),
    ),
    (
        heard(1, left_at=NOW - timedelta(seconds=10), **BARE),
        Listening(),
        None,
        *("offline", "last_will"),
    ),
    # Blind spans: silence in them means nothing, but a departure is no silence.
    (heard(1.5), BLIND_NOW, None, "online", ""),
    (heard(3), BLIND_NOW, None, "stale", "platform_blind"),
    (heard(5.9), BLIND_NOW, None, "stale", "platform_blind"),
    (heard(6), BLIND_NOW, None, "offline", "missed_heartbeats"),
    (heard(4.5), BLIND_BEFORE, None, "stale", "platform_blind"),
    (
        heard(9),
        Listening(spans=((ago(7), ago(3)),)),
        None,
        *("suspect", "missed_heartbeat"),
    ),
    (
        heard(99),
        Listening(spans=((ago(7), ago(3)),)),
        None,
        *("offline", "missed_heartbeats"),
    ),
    (
        heard(9),
        Listening(spans=((ago(8), ago(5)),)),
        None,
        *("offline", "missed_heartbeats"),
    ),
    (
        heard(3, left_session="s2", **WILL),
        BLIND_NOW,
        None,
        *("offline", "last_will"),
    ),
    # Children.
    (heard(1), Listening(), ONLINE_GATEWAY, "online", ""),
    (heard(1), Listening(), LOST_GATEWAY, "stale", "gateway_offline"),
    (heard(9), Listening(), LOST_GATEWAY, "stale", "gateway_offline"),
    (heard(1, **GOODBYE), Listening(), LOST_GATEWAY, "stale", "gateway_offline"),
    (heard(1), Listening(), BLIND_GATEWAY, "stale", "platform_blind"),
    (heard(9), Listening(), Gateway("online", "", ago(1)), "online", ""),
    (
        heard(9, sleeping_until=NOW + MINUTE),
        Listening(),
        LOST_GATEWAY,
        *("online", "sleeping"),
    ),
    # Only invalid messages.
    (
        PresenceEvidence(ago(1), ago(5), MINUTE),
        Listening(),
        None,
        *("stale", "invalid_messages"),
    ),
    (
        PresenceEvidence(ago(1), None, MINUTE),
        Listening(),
        None,
        "stale",
        "invalid_messages",
    ),
    (
        PresenceEvidence(ago(1), ago(3), MINUTE),
        Listening(),
        None,
        *("suspect", "missed_heartbeat"),
    ),
    (
        PresenceEvidence(ago(5), ago(11), MINUTE),
        Listening(),
        None,
        *("offline", "missed_heartbeats"),
    ),
]


@pytest.mark.parametrize(
    ("evidence", "listening", "gateway", "connectivity", "cause"), TABLE
)
def test_the_first_rule_that_applies_decides(
    evidence: PresenceEvidence,
    listening: Listening,
    gateway: Gateway | None,
    connectivity: str,
    cause: str,
) -> None:
    assert verdict_on(evidence, listening, gateway) == (connectivity, cause)


minutes = st.floats(min_value=0, max_value=30)
moments = st.builds(ago, minutes)
evidence = st.builds(
    PresenceEvidence,
    last_seen_at=st.none() | moments,
    last_activity_at=st.none() | moments,
    interval=st.sampled_from([timedelta(seconds=10), MINUTE, 5 * MINUTE]),
    sleeping_until=st.none() | st.builds(lambda m: NOW + (m - 15) * MINUTE, minutes),
    session=st.sampled_from(["", "s1"]),
    left_how=st.sampled_from(list(Departure)),
    left_session=st.sampled_from(["", "s1", "s2"]),
    left_at=moments,
)
spans = st.lists(st.tuples(minutes, minutes), max_size=4).map(
    lambda pairs: _joined([(ago(max(p) + 0.1), ago(min(p))) for p in pairs])
)
# A blind span that begins now is new evidence, not the passing of time.
beginnings = st.builds(ago, st.floats(min_value=0.1, max_value=30))
listenings = st.builds(Listening, spans, st.none() | beginnings)
gateways = st.none() | st.builds(
    Gateway, st.sampled_from(list(Connectivity)), st.just(""), moments
)


def _joined(spans: list[tuple[datetime, datetime]]) -> tuple[tuple[datetime, ...], ...]:
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return tuple(joined)


@given(evidence, listenings, gateways)
def test_the_verdict_does_not_change_before_its_announced_time(
    evidence: PresenceEvidence, listening: Listening, gateway: Gateway | None
) -> None:
    def look(now: datetime) -> Verdict:
        return judge(evidence, listening=listening, gateway=gateway, now=now)

    first = look(NOW)
    until = first.next_change_at or NOW + timedelta(days=1)
    just_before = until - timedelta(microseconds=1)
    assert until > NOW
    for now in (NOW + (just_before - NOW) / 2, just_before):
        later = look(now)
        assert (later.connectivity, later.cause) == (first.connectivity, first.cause)


@given(evidence, minutes)
def test_no_device_goes_offline_by_silence_while_the_platform_is_blind(
    evidence: PresenceEvidence, blind_for: float
) -> None:
    before = ago(blind_for)
    listening = Listening(blind_since=before)
    now = judge(evidence, listening=listening, gateway=None, now=NOW)
    then = judge(evidence, listening=Listening(), gateway=None, now=before)
    if now.cause == Cause.MISSED_HEARTBEATS:
        assert then.cause == Cause.MISSED_HEARTBEATS


# Typical evidence, and all other kinds too.
lately = st.builds(ago, st.floats(min_value=-1, max_value=11))
speaking = st.builds(
    lambda at, **more: PresenceEvidence(at, at, **more),
    lately,
    interval=st.sampled_from([timedelta(seconds=10), MINUTE, 5 * MINUTE]),
    sleeping_until=st.sampled_from([None, None, None, ago(-1), ago(1)]),
    session=st.sampled_from(["", "s1"]),
    left_how=st.sampled_from([*[Departure.NONE] * 4, *Departure]),
    left_session=st.sampled_from(["", "s1", "s2"]),
    left_at=st.none() | lately,
)
near_gateways = st.none() | st.builds(
    Gateway,
    st.sampled_from([*["online"] * 4, *Connectivity]),
    st.sampled_from(["", "", "platform_blind", "sleeping"]),
    st.none() | lately,
)


@given(speaking | evidence, listenings, near_gateways)
def test_the_shortcut_for_recently_heard_devices_agrees_with_all_rules(
    evidence: PresenceEvidence, listening: Listening, gateway: Gateway | None
) -> None:
    until = online_until(evidence, gateway=gateway, now=NOW)
    if until is not None:
        verdict = judge(evidence, listening=listening, gateway=gateway, now=NOW)
        assert verdict == Verdict(Connectivity.ONLINE, Cause.NONE, until)


def test_recently_heard_devices_take_the_shortcut() -> None:
    soon = NOW + MINUTE
    assert online_until(heard(1), gateway=None, now=NOW) == soon
    assert online_until(heard(1), gateway=ONLINE_GATEWAY, now=NOW) == soon
    assert online_until(heard(2), gateway=None, now=NOW) is None
    assert online_until(heard(1), gateway=LOST_GATEWAY, now=NOW) is None
