"""Periodic Celery tasks of the console; the tables say what there is to do."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from celery import shared_task

from console.services.attention import (
    BATCH,
    forget_items_across_tenants,
    take_attention_across_tenants,
)
from iotplatform.common.batches import until_drained
from state.services.attention import forget_entries_across_tenants

# A run ends after so many batches; the next one goes on.
MAX_BATCHES = 20


@shared_task(name="console.take_attention")
def take_attention() -> int:
    """Make work items of what is new in the attention inbox; return how many."""
    return until_drained(take_attention_across_tenants, batch=BATCH, most=MAX_BATCHES)


@shared_task(name="console.keep_history")
def keep_history() -> int:
    """Delete what was over long ago, of the inbox and of its items."""
    now = datetime.now(UTC)
    forget_entries = partial(forget_entries_across_tenants, now=now, limit=BATCH)
    forget_items = partial(forget_items_across_tenants, now=now)
    return until_drained(forget_entries, batch=BATCH) + until_drained(
        forget_items, batch=BATCH
    )
