"""Presence rows in the hand of a batch or a sweep: locked, changed, written once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING

from state.services import bulk
from state.services.judgment import Evidence
from state.services.marks import mark_for_risk

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice


@dataclass(slots=True)
class PresenceRow:
    """One row of state_presence, with what the registry adds to its judgment."""

    device_id: int
    tenant_id: int
    last_seen_at: datetime | None
    last_activity_at: datetime | None
    session: str
    session_seq: int | None
    boot: int | None
    seq_high: int | None
    seq_window: int
    repeats: int
    heartbeat_seconds: int | None
    sleeping_until: datetime | None
    left_how: str
    left_session: str
    left_at: datetime | None
    clock_skew: bool
    connectivity: str
    cause: str
    since: datetime
    next_change_at: datetime | None
    disconnects_72h: int
    recount_at: datetime | None
    activity_bucket: datetime | None
    # From the registry, not written.
    gateway_id: int | None
    product_seconds: int

    @property
    def evidence(self) -> Evidence:
        """What the judgment asks for."""
        seconds = self.heartbeat_seconds or self.product_seconds
        return Evidence(
            self.last_seen_at,
            self.last_activity_at,
            timedelta(seconds=seconds),
            self.sleeping_until,
            self.session,
            self.left_how,
            self.left_session,
            self.left_at,
        )


# What a heartbeat changes; no index holds any of it.
HOT = {
    "last_seen_at": "timestamptz",
    "last_activity_at": "timestamptz",
    "boot": "bigint",
    "seq_high": "bigint",
    "seq_window": "bigint",
    "repeats": "bigint",
}
COLD = {
    "session": "text",
    "session_seq": "bigint",
    "heartbeat_seconds": "integer",
    "sleeping_until": "timestamptz",
    "left_how": "text",
    "left_session": "text",
    "left_at": "timestamptz",
    "clock_skew": "boolean",
    "connectivity": "text",
    "cause": "text",
    "since": "timestamptz",
    "next_change_at": "timestamptz",
    "disconnects_72h": "integer",
    "recount_at": "timestamptz",
    "activity_bucket": "timestamptz",
}
_hot_values = attrgetter("device_id", *HOT)
_cold_values = attrgetter(*COLD)
_all_values = attrgetter("device_id", *HOT, *COLD)
# Of the cold values those that risk is made of.
_risk_of = itemgetter(
    *map(list(COLD).index, ("connectivity", "cause", "since", "disconnects_72h"))
)

_COLUMNS = """
    SELECT p.device_id, p.tenant_id, p.last_seen_at, p.last_activity_at, p.session,
        p.session_seq, p.boot, p.seq_high, p.seq_window, p.repeats,
        p.heartbeat_seconds, p.sleeping_until, p.left_how, p.left_session, p.left_at,
        p.clock_skew, p.connectivity, p.cause, p.since, p.next_change_at,
        p.disconnects_72h, p.recount_at, p.activity_bucket
"""
_READ = f"""{_COLUMNS}, d.gateway_id, r.heartbeat_seconds
    FROM state_presence p
    JOIN registry_device d ON d.id = p.device_id
    JOIN registry_product r ON r.id = d.product_id
    WHERE p.device_id = ANY(%s)
    ORDER BY p.device_id
"""
_LOCK = _READ + " FOR UPDATE OF p"
# For who has just read the registry himself.
_LOCK_KNOWN = f"""{_COLUMNS} FROM state_presence p
    WHERE p.device_id = ANY(%s) ORDER BY p.device_id FOR UPDATE
"""
_CREATE = """
    INSERT INTO state_presence (device_id, tenant_id, session, seq_window, repeats,
        left_how, left_session, clock_skew, connectivity, cause, since,
        disconnects_72h)
    SELECT d.id, d.tenant_id, '', 0, 0, '', '', false, 'offline', 'never_connected',
        %s, 0
    FROM registry_device d WHERE d.id = ANY(%s) ORDER BY d.id
    ON CONFLICT (device_id) DO NOTHING
"""
# Names and types of columns are constants of this module, never anybody's input.
_WRITE = {
    width: f"""
    UPDATE state_presence AS p
    SET {", ".join(f"{name} = v.{name}" for name in names)}
    FROM unnest(%s::bigint[], {", ".join(f"%s::{t}[]" for t in names.values())})
        AS v(device_id, {", ".join(names)})
    WHERE p.device_id = v.device_id
    """
    for width, names in (("hot", HOT), ("all", HOT | COLD))
}


class RowSet:
    """The locked rows of one batch, which writes each at most once."""

    def __init__(self, rows: Iterable[PresenceRow]) -> None:
        self.rows = {row.device_id: row for row in rows}
        self._hot = {row.device_id: _hot_values(row) for row in self.rows.values()}
        self._cold = {row.device_id: _cold_values(row) for row in self.rows.values()}

    def write(self) -> None:
        """Write what changed: two statements, however many rows."""
        changed, touched, riskier = [], [], []
        for device_id, row in self.rows.items():
            if _cold_values(row) != self._cold[device_id]:
                changed.append(_all_values(row))
                if _risk_of(_cold_values(row)) != _risk_of(self._cold[device_id]):
                    riskier.append(device_id)
            elif (hot := _hot_values(row)) != self._hot[device_id]:
                touched.append(hot)
        if changed:
            width = 1 + len(HOT) + len(COLD)
            bulk.run(_WRITE["all"], bulk.columns_of(changed, width))
            mark_for_risk(riskier)
        if touched:
            bulk.run(_WRITE["hot"], bulk.columns_of(touched, 1 + len(HOT)))


def lock_rows(device_ids: Collection[int]) -> RowSet:
    """Lock the presence rows of these devices, in key order; those that exist."""
    found = bulk.fetch(_LOCK, [sorted(device_ids)])
    return RowSet(PresenceRow(*row) for row in found)


def lock_or_create_rows(
    device_ids: Collection[int], known: Mapping[int, IngestDevice], *, now: datetime
) -> RowSet:
    """Lock the presence rows of these devices, making those that are missing.

    ``known`` are devices that were read from the registry already.
    """
    found = _locked(device_ids, known)
    missing = sorted(set(device_ids) - {row.device_id for row in found})
    if missing:
        bulk.run(_CREATE, [now, missing])
        found += _locked(missing, known)
    return RowSet(found)


def _locked(
    device_ids: Collection[int], known: Mapping[int, IngestDevice]
) -> list[PresenceRow]:
    """Lock what there is, in key order; the registry is asked for what is unknown."""
    wanted = sorted(device_ids)
    if not known.keys() >= set(wanted):
        return [PresenceRow(*row) for row in bulk.fetch(_LOCK, [wanted])]
    rows = []
    for row in bulk.fetch(_LOCK_KNOWN, [wanted]):
        device = known[row[0]]
        registered = device.gateway_id, device.heartbeat_seconds
        rows.append(PresenceRow(*(*row, *registered)))
    return rows


def read_rows(device_ids: Collection[int]) -> dict[int, PresenceRow]:
    """Read rows that are not to be written: gateways of children that are judged."""
    found = bulk.fetch(_READ, [sorted(device_ids)])
    return {row[0]: PresenceRow(*row) for row in found}
