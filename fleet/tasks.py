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
from fleet.services.edit_runs import (
    forget_edits_across_tenants,
    run_next_edit_across_tenants,
)
from fleet.services.job_starts import compare_approved_across_tenants
from fleet.services.policy_sweep import (
    apply_policies_across_tenants,
    forget_compliance_across_tenants,
    record_compliance_across_tenants,
)
from iotplatform.common.batches import until_drained


@shared_task(name="fleet.record_sizes")
def record_sizes() -> int:
    """Record how many devices each cohort and policy has; return how many rows."""
    now = datetime.now(UTC)
    recorded = record_compliance_across_tenants(now=now)
    return record_sizes_across_tenants(now=now) + recorded


@shared_task(name="fleet.keep_history")
def keep_history() -> int:
    """Thin out sizes of cohorts, delete old calls and edits; return how many went."""
    now = datetime.now(UTC)
    forget = partial(forget_calls_across_tenants, now=now)
    gone = thin_sizes_across_tenants(now=now) + forget_edits_across_tenants(now=now)
    gone += forget_compliance_across_tenants(now=now)
    return gone + until_drained(forget, batch=BATCH)


@shared_task(name="fleet.run_edits")
def run_edits() -> int:
    """Finish the open edits, one after the other; return how many."""
    return until_drained(
        lambda: run_next_edit_across_tenants(now=datetime.now(UTC)), batch=1
    )


@shared_task(name="fleet.compare_approved")
def compare_approved() -> int:
    """Compare approved jobs that are to start with their query; return how many."""
    return compare_approved_across_tenants(now=datetime.now(UTC))


@shared_task(name="fleet.watch_cohorts")
def watch_cohorts() -> int:
    """Look at the cohorts that call; return how many calls were written."""
    return watch_cohorts_across_tenants()


@shared_task(name="fleet.apply_policies")
def apply_policies() -> int:
    """Give newcomers what their standing policies want; return to how many."""
    return apply_policies_across_tenants(now=datetime.now(UTC))
