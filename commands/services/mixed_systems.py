"""Gateways and children in no allowed combination become work items, and stop being so.

What there is to do stands in the rows: a run that is killed is done by the next.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from commands.selectors.gateway_systems import (
    list_mixed_across_tenants,
    list_whole_again_across_tenants,
)
from state.choices import AttentionKind, AttentionObject
from state.services.attention import Attention, ask_for_attention, end_attention


@transaction.atomic
def judge_mixed_across_tenants(*, now: datetime, limit: int) -> int:
    """Open an item for each mixed system, close those that are over; return both."""
    over = list_whole_again_across_tenants(limit=limit)
    end_attention(over, at=now)
    mixed = list_mixed_across_tenants(limit=limit)
    ask_for_attention(
        [
            Attention(
                tenant_id=system.tenant_id,
                kind=AttentionKind.MIXED,
                object_kind=AttentionObject.DEVICE,
                object_id=system.gateway_public_id,
                # Two workers at the same moment ask for the same episode.
                episode=f"{system.job_public_id}:{system.earlier}",
                device_id=system.gateway_id,
                reason=system.reason,
                at=now,
            )
            for system in mixed
        ]
    )
    return max(len(over), len(mixed))
