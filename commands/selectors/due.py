"""Which commands the platform must handle now; querysets for the sweeps to lock."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from commands.choices import CommandStatus, JobStatus, Lane, WaitsFor
from commands.lifecycle import JOB_HOLDS_BACK
from commands.models import Command, Job
from registry.choices import TAKES_COMMANDS, Lifecycle
from state.choices import Connectivity
from state.models import Presence

S = CommandStatus
TAKES_NO_COMMANDS = sorted(set(Lifecycle) - TAKES_COMMANDS)
IN_QUEUE = Q(status=S.QUEUED, claim_token__isnull=True)


def _clock_runs(now: datetime) -> Q:
    """Return the condition that no pause of its job stops a command's clock."""
    return (
        Q(job__paused_at__isnull=True)
        | Q(job__deadline__lte=now)
        | Q(lane=Lane.BY_HAND)
    )


def held_back_by_job() -> Q:
    """Return the condition that the job of a command does not let it be sent now."""
    return Q(job__isnull=False) & (
        Q(job__status__in=JOB_HOLDS_BACK) & ~Q(lane=Lane.BY_HAND)
        | Q(job__status=JobStatus.CANCELLED)
    )


def due_commands(*, now: datetime) -> QuerySet[Command]:
    """Return the commands that are due, except those that only wait for an adapter."""
    # In the index's order: by key, the planner may walk the whole table to find some.
    return Command.objects.filter(
        ~Q(status=S.QUEUED) | Q(claim_token__isnull=False),
        _clock_runs(now),
        due_at__lte=now,
    ).order_by("due_at", "pk")


def devices_with_due(
    device_ids: Collection[int], *, adapter: str, now: datetime
) -> set[int]:
    """Return which of these devices have a command that can be sent now."""
    due = Command.objects.filter(
        IN_QUEUE,
        ended_at__isnull=True,
        # One array: thousands of polls may wait, and text for each takes longer.
        device_id__in=RawSQL("SELECT unnest(%s::bigint[])", [sorted(device_ids)]),
        device__adapter=adapter,
        device__lifecycle__in=TAKES_COMMANDS,
        due_at__lte=now,
        expires_at__gt=now,
    ).exclude(held_back_by_job())
    return set(due.values_list("device_id", flat=True))


def expired_in_queue(*, now: datetime) -> QuerySet[Command]:
    """Return the commands that no adapter claimed before they expired."""
    queued = Command.objects.filter(IN_QUEUE, _clock_runs(now), expires_at__lte=now)
    return queued.order_by("expires_at", "pk")


def find_jobs_past_deadline(job_ids: Collection[int], *, now: datetime) -> set[int]:
    """Return those of these jobs whose deadline has passed."""
    if not job_ids:
        return set()
    over = Job.objects.filter(pk__in=job_ids, deadline__lte=now)
    return set(over.values_list("pk", flat=True))


def held_for_devices_online() -> QuerySet[Command]:
    """Return the held commands whose device is online and awake."""
    online = Presence.objects.filter(
        connectivity=Connectivity.ONLINE, sleeping_until__isnull=True
    )
    return Command.objects.filter(
        ended_at__isnull=True,
        status=S.HELD,
        waits_for=WaitsFor.DEVICE,
        device_id__in=online.values("device_id"),
    )


def open_of_ended_devices() -> QuerySet[Command]:
    """Return the unsent and unacknowledged commands of devices that take no more."""
    return Command.objects.filter(
        ended_at__isnull=True,
        status__in=[S.HELD, S.QUEUED, S.SENT],
        device__lifecycle__in=TAKES_NO_COMMANDS,
    )


def unsent_of_cancelled_jobs() -> QuerySet[Command]:
    """Return the commands of cancelled jobs that must not be sent any more."""
    return Command.objects.filter(
        ended_at__isnull=True,
        status__in=[S.HELD, S.QUEUED],
        job__status=JobStatus.CANCELLED,
    )
