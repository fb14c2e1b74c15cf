"""``manage.py fleet_indexer``: keep the fleet index equal to the truth."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from fleet.services.indexer_process import run_indexer


class Command(BaseCommand):
    """Drain the outbox into the index; one is active, a second one waits as a spare."""

    help = "Keep the fleet index equal to the truth until SIGINT or SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until a signal; it stops between two batches."""
        stop = threading.Event()
        # SIGINT too: a shell lets a background job ignore it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        run_indexer(settings.INDEX_DIR, stop)
