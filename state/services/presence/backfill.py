"""Connectivity history from before the platform listened: loaded, then counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from iotplatform.common import bulk_sql
from state.choices import ABNORMAL_CAUSES, Connectivity
from state.services.presence.apply_verdicts import count_again
from state.services.presence.locked_rows import lock_rows
from state.services.risk_marks import mark_for_risk

_INSERT = """
    INSERT INTO state_connectivitytransition (tenant_id, device_id, at, moved_from,
        moved_to, cause, session, is_abnormal)
    SELECT d.tenant_id, d.id, v.at, v.moved_from, v.moved_to, v.cause, '', v.abnormal
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
        %s::boolean[]) AS v(device_id, at, moved_from, moved_to, cause, abnormal)
    JOIN registry_device d ON d.id = v.device_id
"""
# A device that was never heard here takes its condition from its history.
_CREATE = """
    INSERT INTO state_presence (device_id, tenant_id, last_seen_at, last_activity_at,
        session, seq_window, repeats, left_how, left_at, left_session, clock_skew,
        connectivity, cause, since, disconnects_72h, next_change_at, activity_bucket)
    SELECT d.id, d.tenant_id, v.at, v.at, '', 0, 0, CASE v.cause
            WHEN 'goodbye' THEN 'goodbye' WHEN 'last_will' THEN 'bare_will' ELSE '' END,
        v.at, '', false, v.connectivity, v.cause, v.at, 0, %s, v.at
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[], %s::text[])
        AS v(device_id, at, connectivity, cause)
    JOIN registry_device d ON d.id = v.device_id ORDER BY d.id
    ON CONFLICT (device_id) DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class PastTransition:
    """One change of connectivity that others recorded."""

    device_id: int
    at: datetime
    moved_from: str
    moved_to: str
    cause: str

    @property
    def is_abnormal(self) -> bool:
        """Whether it counts as an abnormal disconnect."""
        is_loss = self.moved_to == Connectivity.OFFLINE != self.moved_from
        return is_loss and self.cause in ABNORMAL_CAUSES


@transaction.atomic
def load_history(past: Sequence[PastTransition], *, now: datetime) -> None:
    """Insert past transitions and count the devices' disconnects again."""
    if not past:
        return
    rows = [
        (p.device_id, p.at, p.moved_from, p.moved_to, p.cause, p.is_abnormal)
        for p in past
    ]
    bulk_sql.run(_INSERT, bulk_sql.columns_of(rows, 6))
    latest = {p.device_id: p for p in sorted(past, key=lambda p: p.at)}
    created = [(p.device_id, p.at, p.moved_to, p.cause) for p in latest.values()]
    bulk_sql.run(_CREATE, [now, *bulk_sql.columns_of(created, 4)])
    locked = lock_rows(latest.keys())
    count_again(locked.rows.values(), now=now)
    locked.write()
    mark_for_risk(latest.keys())
