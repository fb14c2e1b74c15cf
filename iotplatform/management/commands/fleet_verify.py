"""``manage.py fleet_verify``: compare the fleet index with the database."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from fleet.backends.engine import IndexFault
from fleet.exceptions import IndexUnavailable
from fleet.services.index_check import (
    Differences,
    repair_index,
    verify_index,
)
from fleet.services.indexing import Indexer
from iotplatform.common.progress import Progress


class Command(BaseCommand):
    """Report differences and repair them on request; exit 1 if some remain."""

    help = "Compare the fleet index with the database."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--repair", action="store_true", help="index the differing devices again"
        )

    def handle(self, *args: Any, repair: bool, **options: Any) -> None:
        try:
            progress = Progress(self.stdout.write, "devices")
            found = verify_index(report=progress.show)
            self._report(found)
            if found.device_ids and repair:
                repair_index(found, Indexer(settings.INDEX_DIR))
                found = verify_index()
                self.stdout.write("Repaired." if not found.device_ids else "")
        except OperationalError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        except IndexUnavailable as error:
            raise CommandError(
                f"{error.detail} fleet_rebuild builds an index."
            ) from error
        except IndexFault as fault:
            raise CommandError(f"The index cannot be read: {fault}") from fault
        if found.device_ids:
            raise CommandError(f"{len(found.device_ids)} documents differ.")

    def _report(self, found: Differences) -> None:
        self.stdout.write(
            f"{found.devices} devices: {len(found.missing)} missing,"
            f" {len(found.stale)} stale, {len(found.extra)} extra in the index."
        )
