"""Which of the commands and jobs that requests wait for have ended."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from commands.lifecycle import JOB_AT_REST
from commands.models import Command, Job

# What a request waits for: the kind, and the key of its row.
Awaited = tuple[Literal["command", "job"], int]


def ended_among(awaited: Collection[Awaited]) -> set[Awaited]:
    """Return those that have ended; a stopped job counts, because it stands still."""
    commands = [key for kind, key in awaited if kind == "command"]
    jobs = [key for kind, key in awaited if kind == "job"]
    ended: set[Awaited] = set()
    if commands:
        found = Command.objects.filter(pk__in=commands, ended_at__isnull=False)
        ended |= {("command", key) for key in found.values_list("pk", flat=True)}
    if jobs:
        at_rest = Job.objects.filter(pk__in=jobs, status__in=JOB_AT_REST)
        ended |= {("job", key) for key in at_rest.values_list("pk", flat=True)}
    return ended
