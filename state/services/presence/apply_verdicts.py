"""Entering verdicts in presence rows: transitions, the 72-hour count, what is next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from iotplatform.common import bulk_sql
from state.choices import ABNORMAL_CAUSES, Connectivity
from state.judgment.connectivity import (
    Gateway,
    Listening,
    Verdict,
    judge,
    online_until,
)
from state.selectors.adapter_liveness import (
    blind_spans_of_doors,
    doors_blind_since,
)
from state.services.presence.locked_rows import PresenceRow

COUNTED = timedelta(hours=72)
BUCKET = timedelta(hours=1)

_RECORD = """
    INSERT INTO state_connectivitytransition (tenant_id, device_id, at, moved_from,
        moved_to, cause, session, is_abnormal)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::timestamptz[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::boolean[])
"""
_EXPECTED = """
    SELECT device_id, until FROM state_expecteddisconnect
    WHERE device_id = ANY(%s) AND from_at <= %s
"""
_USE_UP = """
    WITH held AS MATERIALIZED (
        SELECT e.device_id, v.left_at FROM state_expecteddisconnect e
        JOIN unnest(%s::bigint[], %s::timestamptz[]) AS v(device_id, left_at)
            ON v.device_id = e.device_id
        ORDER BY e.device_id FOR UPDATE OF e
    )
    UPDATE state_expecteddisconnect AS e SET until = held.left_at
    FROM held WHERE e.device_id = held.device_id
"""


class Transition(NamedTuple):
    """One change of connectivity or of its cause, in the order of its columns."""

    tenant_id: int
    device_id: int
    at: datetime
    moved_from: str
    moved_to: str
    cause: str
    session: str
    is_abnormal: bool


@dataclass(slots=True)
class Changes:
    """What a round of judging changed."""

    transitions: list[Transition] = field(default_factory=list)
    came_online: set[int] = field(default_factory=set)
    # Devices that left because of us, and when.
    explained: dict[int, datetime] = field(default_factory=dict)


def judge_rows(
    rows: Iterable[PresenceRow],
    gateways: Mapping[int, PresenceRow],
    *,
    now: datetime,
    push: bool,
    record: bool = True,
    listening: Mapping[str, Listening] | None = None,
) -> Changes:
    """Judge rows, gateways before their children, and enter the verdicts.

    ``push`` sets the next look exactly (the sweep does); without it a later look is
    left where it is, so that a heartbeat writes no indexed column. Without ``record``
    no transition is stored. ``listening``, by adapter, is for who judges several times
    at once. A child is heard through its gateway's door.
    """
    listening = listening or listening_until(now)
    changes = Changes()
    everyone = list(rows)
    children = [row for row in everyone if row.gateway_id is not None]
    others = [row for row in everyone if row.gateway_id is None]
    for group in (others, children):
        verdicts = []
        for row in group:
            gateway = _gateway_of(row, gateways)
            if row.connectivity == Connectivity.ONLINE and not row.cause:
                until = online_until(row, gateway=gateway, now=now)
                if until is not None:
                    _stay_online(row, until, push=push)
                    continue
            through = gateways.get(row.gateway_id or 0, row)
            heard = listening[through.adapter]
            verdict = judge(row.evidence, listening=heard, gateway=gateway, now=now)
            verdicts.append((row, verdict))
        doubtful = {row.device_id for row, v in verdicts if _may_be_abnormal(row, v)}
        expected = _expected(doubtful, now)
        for row, verdict in verdicts:
            is_expected = _covers(expected.get(row.device_id), row)
            if is_expected and (left_at := _left_at(row)):
                changes.explained[row.device_id] = left_at
            _enter(row, verdict, changes, now=now, push=push, is_expected=is_expected)
    if record:
        if changes.transitions:
            bulk_sql.run(_RECORD, bulk_sql.columns_of(changes.transitions, 8))
        _use_up(changes.explained)
    return changes


def listening_until(now: datetime) -> dict[str, Listening]:
    """Return when which door was shut, up to now."""
    spans, since = blind_spans_of_doors(), doors_blind_since(now)
    return {door: Listening(spans[door], since[door]) for door in spans}


def recount(rows: Iterable[PresenceRow], *, now: datetime) -> None:
    """Count the abnormal disconnects of the last 72 hours again where one left."""
    due = [row for row in rows if row.recount_at is not None and row.recount_at <= now]
    count_again(due, now=now)


def count_again(rows: Collection[PresenceRow], *, now: datetime) -> None:
    """Count the abnormal disconnects of these devices in the last 72 hours."""
    if not rows:
        return
    counts = _counts([row.device_id for row in rows], now=now)
    for row in rows:
        row.disconnects_72h, oldest = counts.get(row.device_id, (0, None))
        row.recount_at = oldest + COUNTED if oldest else None
        if row.recount_at is not None:
            row.next_change_at = min(
                row.next_change_at or row.recount_at, row.recount_at
            )


def _counts(
    device_ids: list[int], *, now: datetime
) -> dict[int, tuple[int, datetime | None]]:
    found = bulk_sql.fetch(
        "SELECT device_id, count(*), min(at) FROM state_connectivitytransition"
        " WHERE is_abnormal AND at > %s AND device_id = ANY(%s) GROUP BY device_id",
        [now - COUNTED, device_ids],
    )
    return {device_id: (count, oldest) for device_id, count, oldest in found}


def _gateway_of(
    row: PresenceRow, gateways: Mapping[int, PresenceRow]
) -> Gateway | None:
    if row.gateway_id is None:
        return None
    gateway = gateways.get(row.gateway_id)
    if gateway is None:  # never heard
        return Gateway(Connectivity.OFFLINE, "never_connected", None)
    return Gateway(gateway.connectivity, gateway.cause, gateway.since)


def _may_be_abnormal(row: PresenceRow, verdict: Verdict) -> bool:
    return (
        verdict.connectivity == Connectivity.OFFLINE
        and verdict.cause in ABNORMAL_CAUSES
        and row.connectivity != Connectivity.OFFLINE
    )


def _expected(device_ids: set[int], now: datetime) -> dict[int, datetime]:
    """Return up to when which of these devices leave because of us."""
    if not device_ids:
        return {}
    return dict(bulk_sql.fetch(_EXPECTED, [sorted(device_ids), now]))


def _covers(expected_until: datetime | None, row: PresenceRow) -> bool:
    """Say whether we made it leave: what counts is when it was heard last."""
    left_at = _left_at(row)
    return bool(expected_until and left_at and left_at <= expected_until)


def _left_at(row: PresenceRow) -> datetime | None:
    return row.left_at or row.last_activity_at


def _use_up(explained: Mapping[int, datetime]) -> None:
    """End these expectations: a device that leaves once more does so by itself."""
    if explained:
        bulk_sql.run(_USE_UP, bulk_sql.columns_of(sorted(explained.items()), 2))


def _enter(
    row: PresenceRow,
    verdict: Verdict,
    changes: Changes,
    *,
    now: datetime,
    push: bool,
    is_expected: bool,
) -> None:
    """Write one verdict into its row, and remember the transition."""
    is_same = (row.connectivity, row.cause) == (verdict.connectivity, verdict.cause)
    if not is_same:
        is_abnormal = _may_be_abnormal(row, verdict) and not is_expected
        if is_abnormal:
            row.disconnects_72h += 1
            row.recount_at = row.recount_at or now + COUNTED
        changes.transitions.append(
            Transition(
                tenant_id=row.tenant_id,
                device_id=row.device_id,
                at=now,
                moved_from=row.connectivity,
                moved_to=verdict.connectivity,
                cause=verdict.cause,
                session=row.session,
                is_abnormal=is_abnormal,
            )
        )
        if row.connectivity != verdict.connectivity:
            row.since = now
            if verdict.connectivity == Connectivity.ONLINE:
                changes.came_online.add(row.device_id)
        row.connectivity, row.cause = verdict.connectivity, verdict.cause
    _set_bucket(row)
    _set_next(row, verdict.next_change_at, exact=push or not is_same)


def _stay_online(row: PresenceRow, until: datetime, *, push: bool) -> None:
    """Do what ``_enter`` would do of a device that was online, and is."""
    at, bucket = row.last_activity_at, row.activity_bucket
    if at is None or bucket is None or not bucket <= at < bucket + BUCKET:
        _set_bucket(row)
    current = row.next_change_at
    if push or current is None or until < current or row.recount_at is not None:
        _set_next(row, until, exact=push)


def _set_bucket(row: PresenceRow) -> None:
    """Quantise last activity: the hour while online, exactly on leaving it."""
    at = row.last_activity_at
    if at is not None and row.connectivity == Connectivity.ONLINE:
        at = at.replace(minute=0, second=0, microsecond=0)
    row.activity_bucket = at


def _set_next(row: PresenceRow, moment: datetime | None, *, exact: bool) -> None:
    """Set when to look again: when the verdict may change or a count slides."""
    known = [at for at in (moment, row.recount_at) if at is not None]
    soonest = min(known, default=None)
    current = row.next_change_at
    if exact or current is None or (soonest is not None and soonest < current):
        row.next_change_at = soonest
