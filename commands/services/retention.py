"""Old attempts, commands and jobs are deleted in batches; events go by partition.

Attempts and commands are found by their command on every step of its life. A partition
by day cannot have that as a unique key, and would have to be searched once a day that
is kept.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from commands.models import Attempt, Command, FrozenCohort, Job, JobTarget

# Rows of one transaction.
BATCH = 5_000
JOBS = 50
ATTEMPTS_KEPT = timedelta(days=90)
# As long as their events.
COMMANDS_KEPT = timedelta(days=400)


def forget_attempts_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Delete a batch of old attempts of ended commands; return how many."""
    old = Attempt.objects.filter(
        claimed_at__lt=now - ATTEMPTS_KEPT, command__ended_at__isnull=False
    )
    ids = list(old.order_by("claimed_at").values_list("pk", flat=True)[:limit])
    Attempt.objects.filter(pk__in=ids).delete()
    return len(ids)


@transaction.atomic
def forget_commands_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Delete a batch of single commands that ended long ago; return how many."""
    before = now - COMMANDS_KEPT
    old = Command.objects.filter(
        # The ids grow with time, and have an index.
        public_id__lt=_first_id_of(before),
        ended_at__lt=before,
        job__isnull=True,
    )
    ids = list(old.order_by("public_id").values_list("pk", flat=True)[:limit])
    _delete_commands(ids)
    return len(ids)


@transaction.atomic
def forget_jobs_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Delete a batch of the members and commands of jobs that ended long ago.

    A job itself goes with its last command. Return ``limit`` while more may be left.
    """
    ended = Job.objects.filter(ended_at__lt=now - COMMANDS_KEPT).order_by("pk")
    jobs = dict(ended.values_list("pk", "cohort_id")[:JOBS])
    members = JobTarget.objects.filter(job__in=jobs)
    ids = list(members.order_by("pk").values_list("pk", flat=True)[:limit])
    JobTarget.objects.filter(pk__in=ids).delete()
    if len(ids) == limit:
        return limit
    commands = Command.objects.filter(job__in=jobs)
    ids = list(commands.order_by("pk").values_list("pk", flat=True)[:limit])
    _delete_commands(ids)
    if len(ids) == limit:
        return limit
    Job.objects.filter(pk__in=jobs).delete()
    FrozenCohort.objects.filter(pk__in=jobs.values()).delete()
    return limit if len(jobs) == JOBS else len(jobs)


def _delete_commands(ids: Collection[int]) -> None:
    # A later command may be the retry of one of these.
    Command.objects.filter(retry_of__in=ids).update(retry_of=None)
    Command.objects.filter(pk__in=ids).delete()


def _first_id_of(at: datetime) -> UUID:
    """Return the lowest UUIDv7 of an instant."""
    return UUID(int=int(at.timestamp() * 1_000) << 80)
