"""Apply verdicts to presence rows: transitions, the 72-hour count, the next check."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
from state.models import ConnectivityTransition
from state.selectors.adapter_liveness import (
    blind_since_by_adapter,
    blind_spans_by_adapter,
)
from state.services.presence.locked_rows import PresenceRow

COUNTED = timedelta(hours=72)
BUCKET = timedelta(hours=1)

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
    cause_from: str
    session: str
    is_abnormal: bool


_RECORD = bulk_sql.insert_rows(ConnectivityTransition, *Transition._fields)


@dataclass(slots=True)
class Changes:
    """What one round of judging changed."""

    transitions: list[Transition] = field(default_factory=list)
    came_online: set[int] = field(default_factory=set)
    # Devices whose disconnect was expected, and when they left.
    explained: dict[int, datetime] = field(default_factory=dict)


def judge_rows(
    rows: Iterable[PresenceRow],
    gateways: Mapping[int, PresenceRow],
    *,
    now: datetime,
    exact: bool,
    record: bool = True,
    listening: Mapping[str, Listening] | None = None,
) -> Changes:
    """Judge rows, gateways before their children, and apply the verdicts.

    ``exact`` sets the exact time of the next check (the sweep needs it); without it an
    earlier planned check stays, so that a heartbeat writes no indexed column. Without
    ``record`` no transition is stored. ``listening``, by adapter, saves a read if the
    caller judges several times. A child uses the adapter of its gateway.
    """
    listening = listening or listening_until(now)
    changes = Changes()
    all_rows = list(rows)
    children = [row for row in all_rows if row.gateway_id is not None]
    others = [row for row in all_rows if row.gateway_id is None]
    for group in (others, children):
        verdicts = _judge_group(group, gateways, listening, now=now, exact=exact)
        doubtful = {row.device_id for row, v in verdicts if _may_be_abnormal(row, v)}
        expected = _expected(doubtful, now)
        for row, verdict in verdicts:
            is_expected = _covers(expected.get(row.device_id), row)
            if is_expected and (left_at := _left_at(row)):
                changes.explained[row.device_id] = left_at
            _enter(row, verdict, changes, now=now, exact=exact, is_expected=is_expected)
    if record:
        if changes.transitions:
            bulk_sql.run(
                _RECORD,
                bulk_sql.columns_of(changes.transitions, len(Transition._fields)),
            )
        _use_up(changes.explained)
    return changes


def _judge_group(
    group: Sequence[PresenceRow],
    gateways: Mapping[int, PresenceRow],
    listening: Mapping[str, Listening],
    *,
    now: datetime,
    exact: bool,
) -> list[tuple[PresenceRow, Verdict]]:
    """Return the verdicts of rows that may change; keep the others online at once."""
    verdicts = []
    for row in group:
        gateway = _gateway_of(row, gateways)
        if row.connectivity == Connectivity.ONLINE and not row.cause:
            until = online_until(row, gateway=gateway, now=now)
            if until is not None:
                _stay_online(row, until, exact=exact)
                continue
        through = gateways.get(row.gateway_id or 0, row)
        heard = listening[through.adapter]
        verdict = judge(row.evidence, listening=heard, gateway=gateway, now=now)
        verdicts.append((row, verdict))
    return verdicts


def listening_until(now: datetime) -> dict[str, Listening]:
    """Return when each adapter was blind, up to now."""
    spans, since = blind_spans_by_adapter(), blind_since_by_adapter(now)
    return {adapter: Listening(spans[adapter], since[adapter]) for adapter in spans}


def recount(rows: Iterable[PresenceRow], *, now: datetime) -> None:
    """Count the disconnects again for rows of which one is older than 72 hours now."""
    due = [row for row in rows if row.recount_at is not None and row.recount_at <= now]
    count_again(due, now=now)


def count_again(rows: Collection[PresenceRow], *, now: datetime) -> None:
    """Set the number of abnormal disconnects of these rows in the last 72 hours."""
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
    """Return until when the disconnects of these devices are expected."""
    if not device_ids:
        return {}
    return dict(bulk_sql.fetch(_EXPECTED, [sorted(device_ids), now]))


def _covers(expected_until: datetime | None, row: PresenceRow) -> bool:
    """Return whether the device was last heard before the expected time was over."""
    left_at = _left_at(row)
    return bool(expected_until and left_at and left_at <= expected_until)


def _left_at(row: PresenceRow) -> datetime | None:
    return row.left_at or row.last_activity_at


def _use_up(explained: Mapping[int, datetime]) -> None:
    """End these expectations: the next disconnect of the device counts again."""
    if explained:
        bulk_sql.run(_USE_UP, bulk_sql.columns_of(sorted(explained.items()), 2))


def _enter(
    row: PresenceRow,
    verdict: Verdict,
    changes: Changes,
    *,
    now: datetime,
    exact: bool,
    is_expected: bool,
) -> None:
    """Apply one verdict to its row, and add the transition to ``changes``."""
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
                cause_from=row.cause,
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
    _set_next(row, verdict.next_change_at, exact=exact or not is_same)


def _stay_online(row: PresenceRow, until: datetime, *, exact: bool) -> None:
    """Do the same as ``_enter`` for a device that was online and stays online."""
    at, bucket = row.last_activity_at, row.activity_bucket
    if at is None or bucket is None or not bucket <= at < bucket + BUCKET:
        _set_bucket(row)
    current = row.next_change_at
    if exact or current is None or until < current or row.recount_at is not None:
        _set_next(row, until, exact=exact)


def _set_bucket(row: PresenceRow) -> None:
    """Set the activity for the index: the hour while online, else the exact time."""
    at = row.last_activity_at
    if at is not None and row.connectivity == Connectivity.ONLINE:
        at = at.replace(minute=0, second=0, microsecond=0)
    row.activity_bucket = at


def _set_next(row: PresenceRow, moment: datetime | None, *, exact: bool) -> None:
    """Set the next check: when the verdict or the 72-hour count may change."""
    known = [at for at in (moment, row.recount_at) if at is not None]
    soonest = min(known, default=None)
    current = row.next_change_at
    if exact or current is None or (soonest is not None and soonest < current):
        row.next_change_at = soonest
