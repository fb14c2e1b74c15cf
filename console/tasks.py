"""Periodic Celery tasks of the console; the tables say what there is to do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from celery import shared_task

from console.services import sla_days
from console.services.attention import (
    BATCH,
    forget_items_across_tenants,
    take_attention_across_tenants,
)
from console.services.incidents.sweep import sweep_incidents_across_tenants
from console.services.notifications.plan import BATCH as PLANNED
from console.services.notifications.plan import plan_notifications_across_tenants
from console.services.notifications.send import send_due_across_tenants
from console.services.playbooks.advance import advance_runs_across_tenants
from console.services.webhooks import deliver, replay, spread
from iotplatform.common.batches import until_drained
from state.services.attention import forget_entries_across_tenants

# A run ends after so many batches; the next one goes on.
MAX_BATCHES = 20
# So long a run sends messages; the next one goes on.
DELIVER_SECONDS = 20


@shared_task(name="console.take_attention")
def take_attention() -> int:
    """Make work items of what is new in the attention inbox; return how many."""
    return until_drained(take_attention_across_tenants, batch=BATCH, most=MAX_BATCHES)


@shared_task(name="console.sweep_incidents")
def sweep_incidents() -> int:
    """Open and close incidents so that they fit the evidence; return how many."""
    return sweep_incidents_across_tenants(now=datetime.now(UTC))


@shared_task(name="console.advance_playbooks")
def advance_playbooks() -> int:
    """Do what is due in the runs of playbooks; return how many runs went on."""
    return advance_runs_across_tenants(now=datetime.now(UTC))


@shared_task(name="console.spread_events")
def spread_events() -> int:
    """Make messages of new events for the webhooks that want them; return how many."""
    return until_drained(
        spread.spread_events_across_tenants, batch=spread.BATCH, most=MAX_BATCHES
    )


@shared_task(name="console.deliver_webhooks")
def deliver_webhooks() -> int:
    """Send what is due to webhooks; return how many messages were tried."""
    return _while_there_is_time(deliver.deliver_due_across_tenants)


@shared_task(name="console.plan_notifications")
def plan_notifications() -> int:
    """Make the messages of rules that incidents match; return how many."""
    plan = partial(plan_notifications_across_tenants, now=datetime.now(UTC))
    return until_drained(plan, batch=PLANNED, most=MAX_BATCHES)


@shared_task(name="console.send_notifications")
def send_notifications() -> int:
    """Send what is due to people and chat rooms; return how many were looked at."""
    return _while_there_is_time(send_due_across_tenants)


def _while_there_is_time(send_batch: Callable[..., int]) -> int:
    end, total = monotonic() + DELIVER_SECONDS, 0
    while monotonic() < end and (tried := send_batch(now=datetime.now(UTC))):
        total += tried
    return total


@shared_task(name="console.count_sla_days")
def count_sla_days() -> int:
    """Count the days of the SLA report that run or have changed; return how many."""
    return sla_days.count_days_across_tenants(now=datetime.now(UTC))


@shared_task(name="console.keep_history")
def keep_history() -> int:
    """Delete what is old: of the inbox, its items, outgoing events, SLA days."""
    now = datetime.now(UTC)
    forget_entries = partial(forget_entries_across_tenants, now=now, limit=BATCH)
    forget_items = partial(forget_items_across_tenants, now=now)
    forget_events = partial(replay.forget_events_across_tenants, now=now)
    steps = (forget_entries, forget_items, forget_events)
    forget_days = partial(sla_days.forget_days_across_tenants, now=now)
    total = until_drained(forget_days, batch=sla_days.BATCH)
    return total + sum(until_drained(step, batch=BATCH) for step in steps)
