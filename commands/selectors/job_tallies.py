"""How many members of a job have which status, from its counts: no member is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet, Sum

from commands.choices import CommandStatus, FailureClass, WaitsFor
from commands.lifecycle import JOB_FINAL, UNDERWAY
from commands.models import Command, Job, JobCount, JobTarget

S = CommandStatus
PENDING, SKIPPED = "pending", "skipped"
UNANSWERED = [S.QUEUED, *sorted(UNDERWAY)]
SUCCESS = frozenset({S.SUCCEEDED, S.VERIFIED})
FAILURE = frozenset({S.FAILED, S.TIMED_OUT, S.UNKNOWN, S.EXPIRED})


@dataclass
class Tally:
    """The members of one wave, counted by status.

    Trailing members are offline and do not count for the wave's thresholds; they count
    for the whole job when they have ended. So do those that were passed over: a person
    let the job go on without their answer. Dropped ones do not count: a person or a
    newer configuration took them out of the rollout.
    """

    pending: int = 0
    open: int = 0
    trailing: int = 0
    passed_over: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    dropped: int = 0
    by_status: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    by_failure_class: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def ended(self) -> int:
        """The members with an outcome."""
        return self.succeeded + self.failed

    @property
    def counted(self) -> int:
        """The members that the wave's thresholds count."""
        return self.pending + self.open + self.ended

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one group of members with the same status."""
        members, status = row["count"], row["status"]
        place = status if status in (PENDING, SKIPPED) else _place(row)
        self.by_status[status] += members
        if row["failure_class"]:
            self.by_failure_class[row["failure_class"]] += members
        setattr(self, place, getattr(self, place) + members)


def tally_waves(
    job_id: int, waves: Collection[int] | None = None
) -> dict[int | None, Tally]:
    """Return the tally of each wave; None are the members without a wave."""
    return _tally({job_id}, waves)[job_id]


def tally_jobs(job_ids: Collection[int]) -> dict[int, dict[int | None, Tally]]:
    """Return the tallies of several jobs, by wave."""
    return _tally(job_ids, None)


def has_open_commands(job_id: int) -> bool:

    return Command.objects.filter(job_id=job_id, ended_at__isnull=True).exists()


def count_unanswered(*, job_id: int) -> int:
    """Return how many members of a job have a command that is not answered yet.

    Those that a person passed over keep nobody else waiting.
    """
    silent = JobTarget.objects.filter(
        job_id=job_id, is_passed_over=True, command__status__in=UNANSWERED
    )
    return _unanswered(Command.objects.filter(job_id=job_id)) - silent.count()


def count_unanswered_of_tenant(*, tenant_id: int) -> int:
    """Return how many members of all the tenant's jobs are not answered yet."""
    jobs = Job.objects.filter(tenant_id=tenant_id).exclude(status__in=JOB_FINAL)
    ids = list(jobs.values_list("pk", flat=True))
    return _unanswered(Command.objects.filter(job_id__in=ids))


def _unanswered(commands: QuerySet[Command]) -> int:
    # Held ones wait for their devices, and keep nobody else waiting.
    return commands.filter(status__in=UNANSWERED).count()


def _tally(
    job_ids: Collection[int], waves: Collection[int] | None
) -> dict[int, dict[int | None, Tally]]:
    rows = JobCount.objects.filter(job_id__in=job_ids)
    if waves is not None:
        rows = rows.filter(wave__in=waves)
    groups = rows.values(
        "job_id",
        "wave",
        "status",
        "failure_class",
        "waits_for",
        "is_ended",
        "is_passed_over",
    )
    tallies: dict[int, dict[int | None, Tally]] = defaultdict(
        lambda: defaultdict(Tally)
    )
    for row in groups.annotate(count=Sum("members")).filter(count__gt=0).order_by():
        tallies[row["job_id"]][row["wave"]].add(row)
    return tallies


def _place(row: Mapping[str, Any]) -> str:
    status, waits, failure = row["status"], row["waits_for"], row["failure_class"]
    away = waits == WaitsFor.DEVICE or (
        waits == WaitsFor.GATEWAY and failure == FailureClass.GATEWAY_UNREACHABLE
    )
    if away and status in (S.HELD, S.EXPIRED):
        return "trailing"
    if not row["is_ended"]:
        return "passed_over" if row["is_passed_over"] else "open"
    if status in SUCCESS:
        return "succeeded"
    return "failed" if status in FAILURE else "dropped"
