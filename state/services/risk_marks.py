"""Mark devices whose risk must be judged again, with one INSERT.

For alarms, twins and the registry statement triggers do this, so that it cannot be
forgotten. Presence and telemetry are written with every heartbeat: their only writer
marks the devices that changed, so a heartbeat costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection

from iotplatform.common import bulk_sql

_MARK = "INSERT INTO state_riskmark (device_id) SELECT unnest(%s::bigint[])"


def mark_for_risk(device_ids: Collection[int]) -> None:
    if device_ids:
        bulk_sql.run(_MARK, [sorted(device_ids)])
