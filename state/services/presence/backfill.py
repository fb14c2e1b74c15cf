"""Backfill connectivity transitions from before the platform was in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from iotplatform.common import bulk_sql
from state.choices import ABNORMAL_CAUSES, Connectivity
from state.models import ConnectivityTransition, Presence
from state.services.presence.apply_verdicts import count_again
from state.services.presence.locked_rows import lock_rows
from state.services.risk_marks import mark_for_risk

_COLUMNS = (
    *("device_id", "at", "moved_from", "moved_to", "cause", "cause_from"),
    "is_abnormal",
)
_INSERT = f"""
    INSERT INTO state_connectivitytransition
        (tenant_id, session, {", ".join(_COLUMNS)})
    SELECT d.tenant_id, '', v.*
    FROM {bulk_sql.unnest(ConnectivityTransition, *_COLUMNS)}
    JOIN registry_device d ON d.id = v.device_id
"""
# A device that was never heard gets its condition from its latest transition.
_CREATE = f"""
    INSERT INTO state_presence (device_id, tenant_id, last_seen_at, last_activity_at,
        session, seq_window, repeats, left_how, left_at, left_session, clock_skew,
        connectivity, cause, since, disconnects_72h, next_change_at, activity_bucket)
    SELECT d.id, d.tenant_id, v.since, v.since, '', 0, 0, CASE v.cause
            WHEN 'goodbye' THEN 'goodbye' WHEN 'last_will' THEN 'bare_will' ELSE '' END,
        v.since, '', false, v.connectivity, v.cause, v.since, 0, %s, v.since
    FROM {bulk_sql.unnest(Presence, "device_id", "since", "connectivity", "cause")}
    JOIN registry_device d ON d.id = v.device_id ORDER BY d.id
    ON CONFLICT (device_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class PastTransition:
    """One change of connectivity that another system recorded."""

    device_id: int
    at: datetime
    moved_from: str
    moved_to: str
    cause: str

    @property
    def is_abnormal(self) -> bool:
        is_loss = self.moved_to == Connectivity.OFFLINE != self.moved_from
        return is_loss and self.cause in ABNORMAL_CAUSES


@transaction.atomic
def backfill_history(past: Sequence[PastTransition], *, now: datetime) -> None:
    """Insert past transitions, and count the disconnects of the devices again."""
    if not past:
        return
    latest: dict[int, PastTransition] = {}
    rows = []
    for p in sorted(past, key=lambda p: p.at):
        cause_from = _cause_before(p, latest.get(p.device_id))
        rows.append(
            (
                *(p.device_id, p.at, p.moved_from, p.moved_to, p.cause, cause_from),
                p.is_abnormal,
            )
        )
        latest[p.device_id] = p
    bulk_sql.run(_INSERT, bulk_sql.columns_of(rows, len(_COLUMNS)))
    created = [(p.device_id, p.at, p.moved_to, p.cause) for p in latest.values()]
    bulk_sql.run(_CREATE, [now, *bulk_sql.columns_of(created, 4)])
    locked = lock_rows(latest.keys())
    count_again(locked.rows.values(), now=now)
    locked.write()
    mark_for_risk(latest.keys())


def _cause_before(move: PastTransition, earlier: PastTransition | None) -> str:
    """Return the cause before a move; none if the other system did not record it."""
    is_known = earlier is not None and earlier.moved_to == move.moved_from
    return earlier.cause if earlier is not None and is_known else ""
