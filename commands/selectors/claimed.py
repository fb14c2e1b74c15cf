"""Claimed commands with all that their messages need, in one read by key."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from iotplatform.common import bulk_sql


class ClaimedCommand(NamedTuple):
    """What an adapter must know of a command to send it."""

    pk: int
    public_id: UUID
    tenant_id: int
    device_id: int
    name: str
    command_class: str
    params: dict[str, Any]
    policy: dict[str, Any]
    job_id: int | None
    expires_at: datetime
    attempt_count: int
    claim_token: UUID
    is_disconnecting: bool
    uid: str
    gateway_id: int | None
    relay_uid: str | None  # of the gateway that hands it on to the device


# OFFSET 0 keeps the planner on the keys, also while statistics lag behind.
_CLAIMED = """
    SELECT c.id, c.public_id, c.tenant_id, c.device_id, c.name, c.command_class,
        c.params, c.policy, c.job_id, c.expires_at, c.attempt_count, c.claim_token,
        c.is_disconnecting, d.uid, d.gateway_id, g.uid
    FROM commands_command c
    CROSS JOIN LATERAL (
        SELECT uid, kind, gateway_id FROM registry_device
        WHERE id = c.device_id OFFSET 0
    ) d
    LEFT JOIN LATERAL (
        SELECT uid FROM registry_device
        WHERE id = d.gateway_id AND d.kind = 'child' OFFSET 0
    ) g ON true
    WHERE c.id = ANY(%s::bigint[])
    ORDER BY c.lane, c.id
"""


def list_claimed(ids: Collection[int]) -> list[ClaimedCommand]:
    """Return them in the order in which they are sent: by lane, then by request."""
    if not ids:
        return []
    rows = bulk_sql.fetch(_CLAIMED, [sorted(ids)])
    return [ClaimedCommand._make(row) for row in rows]
