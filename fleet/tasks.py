"""Periodic Celery tasks of the fleet; the tables say what there is to do."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from celery import shared_task

from fleet.services.calls import BATCH, forget_calls_across_tenants
from fleet.services.cohort_sizes import (
    record_sizes_across_tenants,
    thin_sizes_across_tenants,
)
from fleet.services.cohort_watch import watch_cohorts_across_tenants
from iotplatform.common.batches import until_drained


@shared_task(name="fleet.record_sizes")
def record_sizes() -> int:
    """Record how many devices each cohort has; return how many were recorded."""
    return record_sizes_across_tenants(now=datetime.now(UTC))


@shared_task(name="fleet.keep_history")
def keep_history() -> int:
    """Thin out old sizes of cohorts, delete old calls; return how many went."""
    now = datetime.now(UTC)
    forget = partial(forget_calls_across_tenants, now=now)
    return thin_sizes_across_tenants(now=now) + until_drained(forget, batch=BATCH)


@shared_task(name="fleet.watch_cohorts")
def watch_cohorts() -> int:
    """Look at the cohorts that call; return how many calls were written."""
    return watch_cohorts_across_tenants()
