"""Judging a batch of messages: what each is evidence of, and what follows from it.

Runs inside its caller's transaction. Presence rows are locked first, in key order, and
they serialise everything that is known of a device: the other tables follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from state.services import alarms, evidence, telemetry, twin
from state.services.arrivals import Arrival, Report
from state.services.rows import lock_or_create_rows
from state.services.twin import TwinNow
from state.services.verdicts import judge_rows, recount

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice


__all__ = ["Arrival", "Judged", "judge"]


@dataclass(slots=True)
class Judged:
    """What a batch said that is new."""

    fresh: list[Arrival] = field(default_factory=list)  # neither repeated nor retained
    born: set[int] = field(default_factory=set)  # devices that came (back) online
    reported: dict[int, TwinNow] = field(default_factory=dict)


def judge(
    arrivals: Sequence[Arrival],
    *,
    now: datetime,
    heard: Sequence[IngestDevice] = (),
) -> Judged:
    """Take a batch in: presence, twin, telemetry, alarms; at most one write a row.

    A message delivered with the retain flag is old: it is evidence of nothing.
    ``heard`` are devices of which something came that could not be read.
    """
    live = [arrival for arrival in arrivals if not arrival.uplink.retained]
    judged = Judged()
    ids = {arrival.device.id for arrival in live} | {device.id for device in heard}
    if not ids:
        return judged
    ids |= {gateway for a in live if (gateway := a.device.gateway_id) is not None}
    locked = lock_or_create_rows(ids, now=now)
    rows = locked.rows
    reports: list[Report] = []
    for device in heard:
        evidence.note_seen(rows[device.id], now)
    for arrival in live:
        device, uplink = arrival.device, arrival.uplink
        row = rows[device.id]
        if not evidence.take(row, uplink):
            continue
        judged.fresh.append(arrival)
        if uplink.kind == "reported":
            reports.append(Report(uplink, device, row.session))
        if uplink.gateway_uid is not None and device.gateway_id is not None:
            evidence.note_activity(rows[device.gateway_id], uplink.at)
        if evidence.is_birth(uplink):
            judged.born.add(device.id)
    recount(rows.values(), now=now)
    changes = judge_rows(rows.values(), rows, now=now, push=False)
    judged.born |= changes.came_online
    locked.write()
    judged.reported = twin.take_reports(reports)
    telemetry.take_measurements(judged.fresh)
    alarms.take_events(judged.fresh)
    return judged
