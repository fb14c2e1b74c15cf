"""What a running job waits for: answers of devices, retries, devices to return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q

from commands.choices import CommandStatus, FailureClass, WaitsFor
from commands.lifecycle import UNDERWAY
from commands.models import Command, Job

S = CommandStatus
ANSWERS = Q(status__in=UNDERWAY)
RETRIES = Q(status=S.QUEUED, attempt_count__gt=0)
OFFLINE = Q(status=S.HELD, waits_for=WaitsFor.DEVICE) | Q(
    status=S.HELD, failure_class=FailureClass.GATEWAY_UNREACHABLE
)


@dataclass(frozen=True)
class JobWaits:
    """Devices that a job waits for, and when the platform does something next."""

    devices: int = 0  # that have the command, or get it again
    offline: int = 0
    next_retry_at: datetime | None = None
    answer_due_at: datetime | None = None


def get_job_waits(job: Job) -> JobWaits:
    """Return what the open commands of a job wait for."""
    open_commands = Command.objects.filter(job=job, ended_at__isnull=True)
    return JobWaits(
        **open_commands.aggregate(
            devices=Count("pk", filter=ANSWERS | RETRIES),
            offline=Count("pk", filter=OFFLINE),
            next_retry_at=Min("due_at", filter=RETRIES),
            answer_due_at=Min("due_at", filter=ANSWERS),
        )
    )
