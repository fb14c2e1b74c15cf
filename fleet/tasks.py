"""Periodic Celery tasks of the fleet; the tables say what there is to do."""

from __future__ import annotations

from datetime import UTC, datetime

from celery import shared_task

from fleet.services.cohort_sizes import (
    record_sizes_across_tenants,
    thin_sizes_across_tenants,
)


@shared_task(name="fleet.record_sizes")
def record_sizes() -> int:
    """Record how many devices each cohort has; return how many were recorded."""
    return record_sizes_across_tenants(now=datetime.now(UTC))


@shared_task(name="fleet.keep_history")
def keep_history() -> int:
    """Thin out old sizes of cohorts; return how many were deleted."""
    return thin_sizes_across_tenants(now=datetime.now(UTC))
