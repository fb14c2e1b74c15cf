"""Celery's doors to the sweeps: each says only "look at the table"."""

from __future__ import annotations

from collections.abc import Callable

from celery import shared_task
from django.utils import timezone

from commands.services import (
    idempotency,
    job_advance,
    outcome_reports,
    partitions,
    retained_config,
    sweeps,
)

# A run ends after so many batches, so that a flood after an outage does not keep one
# worker for longer than the beat's expiry; the next run goes on.
MAX_BATCHES = 20


def _until_empty(sweep: Callable[..., int], *, batch: int) -> int:
    """Repeat a sweep until a batch is not full, up to the bound; return the total."""
    total = 0
    for _ in range(MAX_BATCHES):
        taken = sweep(now=timezone.now())
        total += taken
        if taken < batch:
            break
    return total


@shared_task(name="commands.look_at_due")
def look_at_due() -> int:
    """Apply timeouts, retries, expiry, ended leases and deferrals."""
    return sum(
        _until_empty(sweep, batch=sweeps.BATCH)
        for sweep in (
            sweeps.look_at_due_across_tenants,
            sweeps.expire_queued_across_tenants,
            sweeps.cancel_for_ended_jobs_across_tenants,
        )
    )


@shared_task(name="commands.advance_jobs")
def advance_jobs() -> int:
    """Judge the waves of running jobs, and release the next members."""
    return job_advance.advance_jobs_across_tenants(timezone.now())


@shared_task(name="commands.tidy")
def tidy() -> int:
    """Release what crossed a birth, and clear what retired devices left behind."""
    return sum(
        _until_empty(sweep, batch=sweeps.BATCH)
        for sweep in (
            sweeps.release_waiting_across_tenants,
            sweeps.cancel_for_ended_devices_across_tenants,
            retained_config.find_retained_to_clear_across_tenants,
        )
    )


@shared_task(name="commands.tell_outcomes")
def tell_outcomes() -> int:
    """Tell state how the commands of devices ended."""
    return _until_empty(
        outcome_reports.tell_outcomes_across_tenants, batch=outcome_reports.BATCH
    )


@shared_task(name="commands.tell_deliveries")
def tell_deliveries() -> int:
    """Tell state how the adapter paths deliver."""
    return outcome_reports.tell_deliveries(now=timezone.now())


@shared_task(name="commands.keep_history")
def keep_history() -> int:
    """Make the next days' partitions, drop the oldest, forget old keys."""
    forgotten = _until_empty(
        idempotency.forget_old_keys_across_tenants, batch=idempotency.SWEEP_BATCH
    )
    return partitions.keep_partitions(now=timezone.now()) + forgotten
