"""How many members of a job have which status: one query, whatever the job's size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import BooleanField, Case, Count, Q, QuerySet, Value, When

from commands.choices import CommandStatus, FailureClass, WaitsFor
from commands.lifecycle import JOB_FINAL, UNDERWAY
from commands.models import Command, Job, JobTarget

S = CommandStatus
PENDING, SKIPPED = "pending", "skipped"
SUCCESS = frozenset({S.SUCCEEDED, S.VERIFIED})
FAILURE = frozenset({S.FAILED, S.TIMED_OUT, S.UNKNOWN, S.EXPIRED})


@dataclass
class Tally:
    """The members of one wave, counted by status.

    Trailing members are offline and do not count for the wave's thresholds. Neither do
    dropped ones: a person or a newer configuration took them out of the rollout.
    """

    pending: int = 0
    open: int = 0
    trailing: int = 0
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
        members = row["members"]
        status = row["command__status"]
        if status is None:
            place = "skipped" if row["is_skipped"] else "pending"
            self.by_status[SKIPPED if row["is_skipped"] else PENDING] += members
        else:
            place = _place(row)
            self.by_status[status] += members
            if row["command__failure_class"]:
                self.by_failure_class[row["command__failure_class"]] += members
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
    """Return how many members of a job have a command that is not answered yet."""
    return _unanswered(Command.objects.filter(job_id=job_id))


def count_unanswered_of_tenant(*, tenant_id: int) -> int:
    """Return how many members of all the tenant's jobs are not answered yet."""
    jobs = Job.objects.filter(tenant_id=tenant_id).exclude(status__in=JOB_FINAL)
    ids = list(jobs.values_list("pk", flat=True))
    return _unanswered(Command.objects.filter(job_id__in=ids))


def _unanswered(commands: QuerySet[Command]) -> int:
    # Held ones wait for their devices, and keep nobody else waiting.
    return commands.filter(status__in=[S.QUEUED, *sorted(UNDERWAY)]).count()


def _tally(
    job_ids: Collection[int], waves: Collection[int] | None
) -> dict[int, dict[int | None, Tally]]:
    members = JobTarget.objects.filter(job_id__in=job_ids)
    if waves is not None:
        members = members.filter(wave__in=waves)
    groups = (
        members.values(
            "job_id",
            "wave",
            "command__status",
            "command__failure_class",
            "command__waits_for",
            is_skipped=_whether(~Q(skip_reason="")),
            is_ended=_whether(Q(command__ended_at__isnull=False)),
        )
        .annotate(members=Count("id"))
        .order_by()
    )
    tallies: dict[int, dict[int | None, Tally]] = defaultdict(
        lambda: defaultdict(Tally)
    )
    for row in groups:
        tallies[row["job_id"]][row["wave"]].add(row)
    return tallies


def _whether(condition: Q) -> Case:
    return Case(
        When(condition, then=Value(True)),
        default=Value(False),
        output_field=BooleanField(),
    )


def _place(row: Mapping[str, Any]) -> str:
    status = row["command__status"]
    waits, failure = row["command__waits_for"], row["command__failure_class"]
    away = waits == WaitsFor.DEVICE or (
        waits == WaitsFor.GATEWAY and failure == FailureClass.GATEWAY_UNREACHABLE
    )
    if away and status in (S.HELD, S.EXPIRED):
        return "trailing"
    if not row["is_ended"]:
        return "open"
    if status in SUCCESS:
        return "succeeded"
    return "failed" if status in FAILURE else "dropped"
