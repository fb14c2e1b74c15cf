"""``manage.py maintain_partitions``: run the hourly partition task once, now."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from commands.services import partitions as command_partitions
from iotplatform.checks import OF_SETTINGS
from state.services import partitions as state_partitions


class Command(BaseCommand):
    """Create the partitions of the coming days, and drop the old ones.

    A stack that was off for longer than its partitions last runs this before its first
    message arrives.
    """

    help = "Create and drop the day partitions of tables that are partitioned by time."
    requires_system_checks = [OF_SETTINGS]

    def handle(self, *args: Any, **options: Any) -> None:
        now = datetime.now(UTC)
        changed = state_partitions.keep_partitions(now=now)
        changed += command_partitions.keep_partitions(now=now)
        self.stdout.write(f"{changed} partitions created or dropped.")
