"""Presence rows of a batch or a sweep: locked, changed in memory, written once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from iotplatform.common import bulk_sql
from state.judgment.connectivity import PresenceEvidence
from state.models import Presence
from state.services.risk_marks import mark_for_risk

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice


class PresenceRow(Struct):
    """One row of state_presence, with the registry columns that the judgment needs.

    The fields are in the order of the SELECT: key, HOT, COLD, then read-only ones.
    """

    device_id: int
    last_seen_at: datetime | None
    last_activity_at: datetime | None
    boot: int | None
    seq_high: int | None
    seq_window: int
    repeats: int
    session: str
    session_seq: int | None
    heartbeat_seconds: int | None
    sleeping_until: datetime | None
    left_how: str
    left_session: str
    left_at: datetime | None
    waiting_how: str
    waiting_session: str
    waiting_at: datetime | None
    clock_skew: bool
    connectivity: str
    cause: str
    since: datetime
    next_change_at: datetime | None
    disconnects_72h: int
    recount_at: datetime | None
    activity_bucket: datetime | None
    tenant_id: int
    # From the registry, never written.
    gateway_id: int | None
    product_seconds: int
    adapter: str

    @property
    def interval(self) -> timedelta:
        """The heartbeat interval: the device's own, else the one of its product."""
        return _seconds(self.heartbeat_seconds or self.product_seconds)

    @property
    def evidence(self) -> PresenceEvidence:
        """The evidence for the judgment."""
        return PresenceEvidence(
            self.last_seen_at,
            self.last_activity_at,
            self.interval,
            self.sleeping_until,
            self.session,
            self.left_how,
            self.left_session,
            self.left_at,
        )


@cache
def _seconds(count: int) -> timedelta:
    return timedelta(seconds=count)  # cached: many devices share few intervals


# The columns that a heartbeat changes; none is indexed.
HOT = (
    "last_seen_at",
    "last_activity_at",
    "boot",
    "seq_high",
    "seq_window",
    "repeats",
)
COLD = (
    "session",
    "session_seq",
    "heartbeat_seconds",
    "sleeping_until",
    "left_how",
    "left_session",
    "left_at",
    "waiting_how",
    "waiting_session",
    "waiting_at",
    "clock_skew",
    "connectivity",
    "cause",
    "since",
    "next_change_at",
    "disconnects_72h",
    "recount_at",
    "activity_bucket",
)
WRITTEN = ("device_id", *HOT, *COLD)
HOT_WIDTH = 1 + len(HOT)
_written = attrgetter(*WRITTEN)
# The written values that risk depends on.
_risk_of = itemgetter(
    *map(WRITTEN.index, ("connectivity", "cause", "since", "disconnects_72h"))
)

_COLUMNS = "SELECT " + ", ".join(f"p.{name}" for name in (*WRITTEN, "tenant_id"))
_READ = f"""{_COLUMNS}, d.gateway_id, r.heartbeat_seconds, d.adapter
    FROM state_presence p
    JOIN registry_device d ON d.id = p.device_id
    JOIN registry_product r ON r.id = d.product_id
    WHERE p.device_id = ANY(%s)
    ORDER BY p.device_id
"""
_LOCK = _READ + " FOR UPDATE OF p"
# For callers that have just read the registry.
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
_WRITE_HOT = bulk_sql.update_by_key(Presence, *HOT)
_WRITE_ALL = bulk_sql.update_by_key(Presence, *HOT, *COLD)


class RowSet:
    """The locked rows of one batch; each is written at most once."""

    def __init__(self, read: Sequence[Sequence[Any]]) -> None:
        """``read`` has rows with the fields of ``PresenceRow``."""
        self._before = {row[0]: row[: len(WRITTEN)] for row in read}
        self.rows = {row[0]: PresenceRow(*row) for row in read}

    def write(self) -> None:
        """Write the changed rows in at most two statements."""
        changed, touched, riskier = [], [], []
        for device_id, row in self.rows.items():
            before, after = self._before[device_id], _written(row)
            if after[HOT_WIDTH:] != before[HOT_WIDTH:]:
                changed.append(after)
                if _risk_of(after) != _risk_of(before):
                    riskier.append(device_id)
            elif (hot := after[:HOT_WIDTH]) != before[:HOT_WIDTH]:
                touched.append(hot)
        if changed:
            bulk_sql.run(_WRITE_ALL, bulk_sql.columns_of(changed, len(WRITTEN)))
            mark_for_risk(riskier)
        if touched:
            bulk_sql.run(_WRITE_HOT, bulk_sql.columns_of(touched, HOT_WIDTH))


def lock_rows(device_ids: Collection[int]) -> RowSet:
    """Lock the existing presence rows of these devices, in key order."""
    return RowSet(bulk_sql.fetch(_LOCK, [sorted(device_ids)]))


def lock_or_create_rows(
    device_ids: Collection[int], known: Mapping[int, IngestDevice], *, now: datetime
) -> RowSet:
    """Lock the presence rows of these devices; create missing ones.

    ``known`` has the devices that were already read from the registry.
    """
    found = _locked(device_ids, known)
    missing = sorted(set(device_ids) - {row[0] for row in found})
    if missing:
        bulk_sql.run(_CREATE, [now, missing])
        found += _locked(missing, known)
    return RowSet(found)


def _locked(
    device_ids: Collection[int], known: Mapping[int, IngestDevice]
) -> list[Sequence[Any]]:
    """Lock existing rows in key order; read the registry only for unknown devices."""
    wanted = sorted(device_ids)
    if not known.keys() >= set(wanted):
        return bulk_sql.fetch(_LOCK, [wanted])
    rows: list[Sequence[Any]] = []
    for row in bulk_sql.fetch(_LOCK_KNOWN, [wanted]):
        device = known[row[0]]
        registered = device.gateway_id, device.heartbeat_seconds, device.adapter
        rows.append((*row, *registered))
    return rows


def read_rows(device_ids: Collection[int]) -> dict[int, PresenceRow]:
    """Read rows without a lock: the gateways of children that are judged."""
    found = bulk_sql.fetch(_READ, [sorted(device_ids)])
    return {row[0]: PresenceRow(*row) for row in found}
