"""Ingest a batch of messages: presence, twin, telemetry and alarms.

Runs inside the caller's transaction. Presence rows are locked first, in key order; this
lock serialises all changes of a device's state in the other tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from state.services import telemetry, twin
from state.services.alarms import ingest
from state.services.arrivals import Arrival, Report
from state.services.presence import evidence
from state.services.presence.apply_verdicts import (
    judge_rows,
    listening_until,
    recount,
)
from state.services.presence.locked_rows import (
    PresenceRow,
    lock_or_create_rows,
)
from state.services.twin import TwinNow

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice


__all__ = ["Arrival", "Judged", "judge"]


@dataclass(slots=True)
class Judged:
    """What was new in a batch."""

    fresh: list[Arrival] = field(default_factory=list)  # no repeats, none retained
    # Devices that came (back) online, or were heard again after a sleep.
    born: set[int] = field(default_factory=set)
    reported: dict[int, TwinNow] = field(default_factory=dict)


def judge(
    arrivals: Sequence[Arrival],
    *,
    now: datetime,
    heard: Sequence[IngestDevice] = (),
) -> Judged:
    """Ingest a batch; at most one write a row.

    A message delivered with the retain flag is old and ignored. ``heard`` has the
    devices that sent a message that could not be read.
    """
    live = [arrival for arrival in arrivals if not arrival.uplink.retained]
    judged = Judged()
    known = {arrival.device.id: arrival.device for arrival in live}
    known |= {device.id: device for device in heard}
    if not known:
        return judged
    ids = {gateway for a in live if (gateway := a.device.gateway_id) is not None}
    locked = lock_or_create_rows(ids | known.keys(), known, now=now)
    rows = locked.rows
    reports: list[Report] = []
    for row in rows.values():
        evidence.clamp_to_now(row, now)
    for device in heard:
        evidence.note_seen(rows[device.id], now)
    recount(rows.values(), now=now)
    listening = listening_until(now)
    *earlier, last = _turns(live)
    for turn in earlier:
        _apply_turn(turn, rows, judged, reports)
        touched = {pk for a in turn for pk in (a.device.id, a.device.gateway_id) if pk}
        some = [rows[pk] for pk in sorted(touched)]
        changes = judge_rows(some, rows, now=now, exact=False, listening=listening)
        judged.born |= changes.came_online
    _apply_turn(last, rows, judged, reports)
    changes = judge_rows(rows.values(), rows, now=now, exact=False, listening=listening)
    judged.born |= changes.came_online
    # Who announces its sleep counts as online, but nothing can be sent to it.
    judged.born -= {pk for pk in judged.born if rows[pk].sleeping_until is not None}
    locked.write()
    judged.reported = twin.apply_reports(reports)
    late = telemetry.apply_measurements(judged.fresh, now=now)
    ingest.apply_events(judged.fresh, now=now, late=late)
    return judged


def _turns(live: Sequence[Arrival]) -> list[list[Arrival]]:
    """Split a batch where a device leaves or comes back, to judge it in between.

    A device that came and was lost within one batch counts as lost: the number of
    disconnects must not depend on the size of the bridge's batches.
    """
    turns: list[list[Arrival]] = [[]]
    turn_of: dict[int, int] = {}
    left: dict[int, bool] = {}
    for arrival in live:
        device_id, leaves = arrival.device.id, evidence.is_leaving(arrival.uplink)
        turn = turn_of.get(device_id, 0)
        if left.get(device_id, leaves) != leaves:
            turn += 1
        turn_of[device_id], left[device_id] = turn, leaves
        if turn == len(turns):
            turns.append([])
        turns[turn].append(arrival)
    return turns


def _apply_turn(
    arrivals: Sequence[Arrival],
    rows: dict[int, PresenceRow],
    judged: Judged,
    reports: list[Report],
) -> None:
    """Apply these messages to the presence rows."""
    for arrival in arrivals:
        device, uplink = arrival.device, arrival.uplink
        row = rows[device.id]
        slept = row.sleeping_until is not None
        if not evidence.apply_message(row, uplink):
            continue
        judged.fresh.append(arrival)
        if uplink.kind == "reported":
            reports.append(Report(uplink, device, row.session))
        if uplink.gateway_uid is not None and device.gateway_id is not None:
            evidence.note_activity(rows[device.gateway_id], uplink.at)
        woke = slept and not evidence.is_leaving(uplink)
        if woke or evidence.is_birth(uplink):
            judged.born.add(device.id)
