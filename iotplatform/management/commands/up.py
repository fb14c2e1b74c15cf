"""`manage.py up`: run the embedded stack in the foreground, with or without a demo."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from iotplatform.local.stack import run_stack

DEFAULT_DEVICES = 500
MOST_DEVICES = 100_000


class Command(BaseCommand):
    """Start all stores and processes; stop them on SIGINT or SIGTERM."""

    help = "Run the embedded stack with all its processes in the foreground."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--demo", action="store_true", help="load a demo fleet")
        parser.add_argument("--devices", default="", help="size of the demo fleet")

    def handle(self, *args: Any, **options: Any) -> None:
        devices = None
        if options["demo"]:
            devices = _count(options["devices"] or os.environ.get("DEVICES", ""))
        sys.exit(run_stack(settings.DATA_DIR, demo_devices=devices))


def _count(text: str) -> int:
    if not text:
        return DEFAULT_DEVICES
    if not text.isdecimal() or not 1 <= int(text) <= MOST_DEVICES:
        raise CommandError(f"DEVICES must be from 1 to {MOST_DEVICES}, not {text!r}.")
    return int(text)
