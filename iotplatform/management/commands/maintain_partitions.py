"""``manage.py maintain_partitions``: what beat does every hour, once and now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from commands.services import partitions as command_partitions
from state.services import partitions as state_partitions


class Command(BaseCommand):
    """Make the coming days' partitions of every history, and drop the old ones.

    A stack that was away for longer than its partitions reach runs this before its
    first message comes.
    """

    help = "Create and drop the day partitions of the history tables."

    def handle(self, *args: Any, **options: Any) -> None:
        """Keep the partitions of state and commands."""
        now = datetime.now(UTC)
        changed = state_partitions.keep_partitions(now=now)
        changed += command_partitions.keep_partitions(now=now)
        self.stdout.write(f"{changed} partitions made or dropped.")
