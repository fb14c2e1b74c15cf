"""Disconnects that the platform itself causes, for example by a reboot."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from iotplatform.common import bulk_sql

REASON_LENGTH = 200

_EXPECT = """
    INSERT INTO state_expecteddisconnect AS e (device_id, tenant_id, from_at, until,
        reason)
    SELECT d.id, d.tenant_id, %s, %s, %s FROM registry_device d
    WHERE d.id = ANY(%s) ORDER BY d.id
    ON CONFLICT (device_id) DO UPDATE SET
        from_at = CASE WHEN e.until >= excluded.from_at
            THEN least(e.from_at, excluded.from_at) ELSE excluded.from_at END,
        until = greatest(e.until, excluded.until),
        reason = excluded.reason
"""


def expect_disconnect(
    device_ids: Collection[int], *, at: datetime, until: datetime, reason: str
) -> None:
    """Record that these devices will disconnect: that is not abnormal."""
    if device_ids:
        values = [at, until, reason[:REASON_LENGTH], sorted(device_ids)]
        bulk_sql.run(_EXPECT, values)
