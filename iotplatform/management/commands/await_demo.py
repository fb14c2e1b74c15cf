"""`manage.py await_demo`: until the demo fleet has spoken and can be searched."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from fleet.selectors.lag import index_lag_seconds
from iotplatform.simulator.demo.waiting import has_spoken_across_tenants

REPORT_SECONDS = 60.0
INDEX_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.2


class Command(BaseCommand):
    """Wait for the first reports of simulated devices, then for the index."""

    help = "Wait, with a bound, until the simulated demo fleet is searchable."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if not _wait_for(has_spoken_across_tenants, REPORT_SECONDS):
            self._say(f"not all devices have reported after {REPORT_SECONDS:g} s")
        began = time.monotonic()
        # Changes never stop: what is waited for is what was there when this began.
        is_indexed = _wait_for(
            lambda: index_lag_seconds() <= time.monotonic() - began, INDEX_SECONDS
        )
        if not is_indexed:
            self._say(f"the index is still behind after {INDEX_SECONDS:g} s")
        if settings.DEMO_READY_FILE:
            Path(settings.DEMO_READY_FILE).touch()

    def _say(self, what: str) -> None:
        self.stderr.write(f"Going on, although {what}.")


def _wait_for(is_so: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_SECONDS)
    return True
