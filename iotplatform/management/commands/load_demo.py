"""`manage.py load_demo`: load the demo fleet and its past; repeatable."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from iotplatform.checks import OF_SETTINGS
from iotplatform.simulator.demo.fleet import demo_devices
from iotplatform.simulator.demo.history import last_heard_at, load_past
from iotplatform.simulator.demo.load import load_fleet
from iotplatform.simulator.secrets import UnusableKey, load_key

MOST_DEVICES = 100_000


class Command(BaseCommand):
    """Load the missing parts of the demo fleet."""

    help = "Load a demo fleet that has lived for three days."
    requires_system_checks = [OF_SETTINGS]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--devices", type=int, default=500, help="default 500")
        parser.add_argument(
            "--secret-key", type=Path, help="default $IOT_DATA_DIR/simulator.key"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        count = options["devices"]
        if not 1 <= count <= MOST_DEVICES:
            raise CommandError(f"--devices must be from 1 to {MOST_DEVICES}")
        try:
            key = load_key(options["secret_key"] or settings.DATA_DIR / "simulator.key")
        except UnusableKey as error:
            raise CommandError(str(error)) from error
        began = time.monotonic()
        heard_at = last_heard_at()
        new = load_fleet(count, key=key)
        lost = load_past(demo_devices(count), heard_at=heard_at, now=timezone.now())
        self.stdout.write(
            f"{count} devices ({len(new)} new), {lost} past disconnects loaded"
            f" ({time.monotonic() - began:.1f} s)"
        )
