"""Periodic Celery tasks; each reads the tables to find its work."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from celery import shared_task

from iotplatform.common.batches import until_drained
from state.services import partitions
from state.services.alarms.closing import (
    end_orphans_across_tenants,
    forget_cleared_across_tenants,
    restart_future_settling_across_tenants,
    settle_across_tenants,
)
from state.services.alarms.held_back import (
    raise_held_back_across_tenants,
    restart_future_holds_across_tenants,
)
from state.services.dead_letters import trim_dead_letters_across_tenants
from state.services.maintenance import (
    forget_windows_across_tenants,
    settle_places_across_tenants,
)
from state.services.presence.adapter_liveness import forget_old_spans
from state.services.presence.sweep import (
    sweep_across_tenants,
    wake_children_across_tenants,
)
from state.services.rediagnosis import rediagnose_across_tenants
from state.services.rescoring import BATCH as RISK_BATCH
from state.services.rescoring import rescore_across_tenants

# A run that goes on for longer leaves the rest to the next one, a second later.
BATCHES_A_RUN = 50


@shared_task(name="state.sweep")
def sweep() -> int:
    """Judge the devices whose condition time has changed; return how many."""
    now = datetime.now(UTC)
    wake_children_across_tenants(now=now)
    total = sweep_across_tenants(now=now)
    if wake_children_across_tenants(now=now):  # of gateways that this run changed
        total += sweep_across_tenants(now=now)
    settle_places_across_tenants(now=now)
    raise_held_back_across_tenants(now=now)
    settle_across_tenants(now=now)
    return total


@shared_task(name="state.rescore")
def rescore() -> int:
    """Judge the risk of marked devices, a batch at a time; return how many."""
    return until_drained(
        lambda: rescore_across_tenants(now=datetime.now(UTC)),
        batch=RISK_BATCH,
        most=BATCHES_A_RUN,
    )


@shared_task(name="state.rediagnose")
def rediagnose() -> int:
    """Store what is found about troubled devices; return how many changed."""
    return rediagnose_across_tenants(now=datetime.now(UTC))


@shared_task(name="state.tidy")
def tidy() -> int:
    """Delete old rows, close orphaned alarms; return how many dead letters went."""
    now = datetime.now(UTC)
    restart_future_holds_across_tenants(now=now)
    restart_future_settling_across_tenants(now=now)
    forget_old_spans(now=now)
    end_orphans_across_tenants(now=now)
    forget_cleared_across_tenants(now=now)
    forget_windows_across_tenants(now=now)
    return until_drained(partial(trim_dead_letters_across_tenants, now=now), batch=1)


@shared_task(name="state.keep_history")
def keep_partitions() -> int:
    """Create the partitions of the coming days, and drop the old ones."""
    return partitions.keep_partitions(now=datetime.now(UTC))
