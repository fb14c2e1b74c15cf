"""The clock's errands: each says only "look at the table"."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from state.services.alarms.closing import (
    end_orphans_across_tenants,
    forget_cleared_across_tenants,
    set_back_settling_across_tenants,
    settle_across_tenants,
)
from state.services.alarms.held_back import (
    raise_held_across_tenants,
    set_back_across_tenants,
)
from state.services.dead_letters import trim_dead_letters_across_tenants
from state.services.maintenance import forget_windows_across_tenants
from state.services.partitions import keep_partitions
from state.services.presence.adapter_liveness import forget_old_spans
from state.services.presence.sweep import (
    sweep_across_tenants,
    wake_children_across_tenants,
)
from state.services.rescoring import BATCH as RISK_BATCH
from state.services.rescoring import rescore_across_tenants

# A run that goes on for longer leaves the rest to the next one, a second later.
BATCHES_A_RUN = 50


@shared_task(name="state.sweep")
def sweep() -> int:
    """Judge what time alone has changed; return how many."""
    now = datetime.now(UTC)
    wake_children_across_tenants(now=now)
    total = sweep_across_tenants(now=now)
    if wake_children_across_tenants(now=now):  # of gateways that this run moved
        total += sweep_across_tenants(now=now)
    raise_held_across_tenants(now=now)
    settle_across_tenants(now=now)
    return total


@shared_task(name="state.rescore")
def rescore() -> int:
    """Judge the risk of marked devices, a batch at a time; return how many."""
    total = 0
    for _ in range(BATCHES_A_RUN):
        judged = rescore_across_tenants(now=datetime.now(UTC))
        total += judged
        if judged < RISK_BATCH:
            break
    return total


@shared_task(name="state.tidy")
def tidy() -> int:
    """Delete what is beyond what is kept, end what nobody ends; return how many."""
    now = datetime.now(UTC)
    set_back_across_tenants(now=now)
    set_back_settling_across_tenants(now=now)
    forget_old_spans(now=now)
    end_orphans_across_tenants(now=now)
    forget_cleared_across_tenants(now=now)
    forget_windows_across_tenants(now=now)
    total = 0
    while deleted := trim_dead_letters_across_tenants(now=now):
        total += deleted
    return total


@shared_task(name="state.keep_history")
def keep_history() -> int:
    """Make the partitions of the coming days, and drop the old ones."""
    return keep_partitions(now=datetime.now(UTC))
