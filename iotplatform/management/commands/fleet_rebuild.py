"""``manage.py fleet_rebuild``: build a new index beside the old one, then swap."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from fleet.backends.engine import IndexFault
from fleet.models import IndexState
from fleet.services.indexing import Indexer, request_rebuild, writer_lock
from iotplatform.common.progress import Progress

POLL_SECONDS = 0.3


class Command(BaseCommand):
    """Ask the running indexer for a rebuild; do it here if none is running."""

    help = "Rebuild the fleet index; searches use the old one until the swap."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--timeout", type=float, default=3_600, help="how many seconds to wait"
        )

    def handle(self, *args: Any, timeout: float, **options: Any) -> None:
        """Wait for an index whose rebuild started after this call."""
        try:
            self._rebuild(timeout)
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        except IndexFault as fault:
            raise CommandError(f"The index cannot be written: {fault}") from fault

    def _rebuild(self, timeout: float) -> None:
        asked_at = request_rebuild()
        deadline = time.monotonic() + timeout
        progress = Progress(self.stdout.write, "documents")
        while time.monotonic() < deadline:
            with writer_lock() as is_owner:
                if is_owner:
                    self._rebuild_here(progress)
            state = IndexState.objects.get(pk=1)
            asked = state.rebuild_requested_at
            if state.rebuilt_at and (asked is None or asked > asked_at):
                self.stdout.write(
                    f"The index was rebuilt: {state.documents} documents,"
                    f" {state.generation}."
                )
                return
            progress.show(state.rebuild_done, state.rebuild_total)
            time.sleep(POLL_SECONDS)
        raise CommandError(f"The rebuild did not finish within {timeout:.0f} s.")

    def _rebuild_here(self, progress: Progress) -> None:
        indexer = Indexer(settings.INDEX_DIR, report=progress.show)
        try:
            indexer.open()
            indexer.rebuild_if_requested()
        finally:
            indexer.close()
