"""How commands ended, for many at once."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from commands.choices import CommandStatus
from commands.models import Command


@dataclass(frozen=True)
class Outcome:
    """The end of a command."""

    status: str
    failure_class: str
    ended_at: datetime

    @property
    def is_success(self) -> bool:
        return self.status in (CommandStatus.SUCCEEDED, CommandStatus.VERIFIED)


def find_outcomes(public_ids: Collection[UUID]) -> dict[UUID, Outcome]:
    """Return how those of these commands ended that have ended, in one query."""
    ended = Command.objects.filter(public_id__in=public_ids, ended_at__isnull=False)
    rows = ended.values_list("public_id", "status", "failure_class", "ended_at")
    return {
        public_id: Outcome(status, failure_class, ended_at)
        for public_id, status, failure_class, ended_at in rows
        if ended_at is not None
    }
