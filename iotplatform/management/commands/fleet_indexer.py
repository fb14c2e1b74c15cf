"""``manage.py fleet_indexer``: keep the fleet index equal to the database."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from fleet.services.indexer_process import run_indexer
from iotplatform.checks import OF_SETTINGS
from iotplatform.common.stop_signal import stop_event


class Command(BaseCommand):
    """Drain the outbox into the index. One process is active, a second one waits."""

    help = "Keep the fleet index equal to the database until SIGINT or SIGTERM."
    requires_system_checks = [OF_SETTINGS]

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until a signal; stop between two batches."""
        run_indexer(settings.INDEX_DIR, stop_event())
