"""Marking devices whose risk is to be judged again: one INSERT, however many.

Alarms, twins and the registry mark by statement triggers, so that nobody can forget it.
Presence and telemetry are written with every heartbeat: there the one place that writes
them marks what moved, and a heartbeat pays for nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from iotplatform.common import bulk_sql

_MARK = "INSERT INTO state_riskmark (device_id) SELECT unnest(%s::bigint[])"


def mark_for_risk(device_ids: Collection[int]) -> None:
    """Have the risk of these devices judged again."""
    if device_ids:
        bulk_sql.run(_MARK, [sorted(device_ids)])
