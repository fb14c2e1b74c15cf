"""Celery tasks of the command plane. A task carries no data: it reads the tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from celery import shared_task
from django.utils import timezone

from commands.services import (
    delivery_minutes,
    device_files,
    gateway_windows,
    idempotency,
    job_advance,
    job_approvals,
    job_counts,
    mixed_systems,
    outcome_reports,
    partitions,
    retained_config,
    retention,
    sweeps,
)
from iotplatform.common.batches import until_drained

# A run ends after so many batches, so that a flood after an outage does not keep one
# worker for longer than the beat's expiry; the next run goes on.
MAX_BATCHES = 20


def _drain(sweep: Callable[..., int], *, batch: int) -> int:
    return until_drained(
        lambda: sweep(now=timezone.now()), batch=batch, most=MAX_BATCHES
    )


def _release_behind_gateways(*, now: datetime) -> int:
    return gateway_windows.release_behind_gateways_across_tenants(
        now=now, limit=sweeps.BATCH
    )


def _notice_gateways(*, now: datetime) -> int:
    return gateway_windows.notice_gateways_that_are_back_across_tenants(
        now=now, limit=sweeps.BATCH
    )


def _cancel_unapproved(*, now: datetime) -> int:
    return job_approvals.cancel_unapproved_across_tenants(now=now, limit=sweeps.BATCH)


def _judge_mixed(*, now: datetime) -> int:
    return mixed_systems.judge_mixed_across_tenants(now=now, limit=sweeps.BATCH)


def _add_up_counts(*, now: datetime) -> int:
    return job_counts.add_up_counts_across_tenants(now=now, limit=sweeps.BATCH)


@shared_task(name="commands.look_at_due")
def process_due() -> int:
    """Apply timeouts, retries, expiry, ended leases and deferrals."""
    return sum(
        _drain(sweep, batch=sweeps.BATCH)
        for sweep in (
            sweeps.process_due_across_tenants,
            sweeps.expire_queued_across_tenants,
            _release_behind_gateways,
            sweeps.cancel_for_ended_jobs_across_tenants,
        )
    )


@shared_task(name="commands.advance_jobs")
def advance_jobs() -> int:
    """Judge the waves of running jobs, and release the next members."""
    return job_advance.advance_jobs_across_tenants(timezone.now())


@shared_task(name="commands.tidy")
def tidy() -> int:
    """Release commands of devices that are online, and clean up after retired ones."""
    return sum(
        _drain(sweep, batch=sweeps.BATCH)
        for sweep in (
            sweeps.release_waiting_across_tenants,
            _notice_gateways,
            sweeps.cancel_for_ended_devices_across_tenants,
            sweeps.follow_adapters_across_tenants,
            _cancel_unapproved,
            _add_up_counts,
            _judge_mixed,
            retained_config.mark_retained_to_clear_across_tenants,
        )
    )


@shared_task(name="commands.check_counts")
def check_counts() -> int:
    """Compare the counts of jobs with their members; return how many were wrong."""
    return job_counts.check_counts_across_tenants(now=timezone.now())


@shared_task(name="commands.tell_outcomes")
def report_outcomes() -> int:
    """Report to state how the commands of devices ended."""
    return _drain(
        outcome_reports.report_outcomes_across_tenants, batch=outcome_reports.BATCH
    )


@shared_task(name="commands.tell_deliveries")
def report_deliveries() -> int:
    """Report to state how well each adapter delivers."""
    return outcome_reports.report_deliveries(now=timezone.now())


@shared_task(name="commands.keep_history")
def keep_partitions() -> int:
    """Make the next days' partitions, and delete what is older than it is kept."""
    deleted = _drain(
        idempotency.delete_old_keys_across_tenants, batch=idempotency.SWEEP_BATCH
    )
    deleted += _drain(
        device_files.delete_old_files_across_tenants, batch=device_files.SWEEP_BATCH
    )
    deleted += sum(
        _drain(forget, batch=retention.BATCH)
        for forget in (
            retention.forget_attempts_across_tenants,
            retention.forget_jobs_across_tenants,
            retention.forget_commands_across_tenants,
        )
    )
    deleted += delivery_minutes.delete_old_minutes(now=timezone.now())
    return partitions.keep_partitions(now=timezone.now()) + deleted
