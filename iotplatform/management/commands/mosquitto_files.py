"""`manage.py mosquitto_files`: keeps a broker's device files equal to the registry."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, close_old_connections

from iotplatform.common.notify import listen
from iotplatform.local.credential_files import DeviceFiles
from iotplatform.local.signals import stop_event
from registry.selectors.credentials import (
    awaiting_withdrawal_across_tenants,
    broker_lines_across_tenants,
    certified_across_tenants,
)
from registry.services.credentials import mark_published, mark_withdrawn

CHANNEL = "registry_credentials"
POLL_SECONDS = 2.0
# Many changes come at once (an import, a batch of registrations): one reload for all.
GATHER_SECONDS = 0.05
# And under a stream of changes three reloads a second, for each makes the broker read
# everything; whoever waits for an answer waits so much longer at most.
RELOAD_EVERY_SECONDS = 0.33
LARGEST_REST = 0.5
# A look at a very large fleet takes a while: it may keep at most this share of a core.
LARGEST_SHARE = 0.05
log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Write the password and access files, tell the broker, and say what holds."""

    help = "Keep the device files of a Mosquitto broker on this machine up to date."

    def add_arguments(self, parser: CommandParser) -> None:
        port = os.environ.get("MQTT_PORT", "1883")
        parser.add_argument("--dir", default=str(settings.DATA_DIR / "broker"))
        parser.add_argument("--pid-file", default="", help="default: DIR/broker.pid")
        parser.add_argument(
            "--listener",
            default=f"127.0.0.1:{port}",
            help="the devices' plain listener, asked whether it has the new files; "
            "empty: not asked",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["dir"])
        if not folder.is_dir():
            raise CommandError(f"--dir: {folder} is no folder.")
        pid_file = Path(options["pid_file"] or folder / "broker.pid")
        files = DeviceFiles(folder, pid_file, _address(options["listener"]))
        stop = stop_event()
        published: set[int] = set()
        while not stop.is_set():
            try:
                self._follow(files, published, stop)
            except (OperationalError, InterfaceError, psycopg.Error) as error:
                log.warning("The database is away (%s): trying again", error)
                stop.wait(1.0)

    def _follow(
        self, files: DeviceFiles, published: set[int], stop: threading.Event
    ) -> None:
        """Look at once, then after each notification and every few seconds."""
        close_old_connections()
        with contextlib.closing(listen(CHANNEL)) as listening:
            while not stop.is_set():
                began = time.monotonic()
                holds = synchronise(files, published)
                took = time.monotonic() - began
                # A large fleet takes longer than that: the broker serves in between.
                stop.wait(max(RELOAD_EVERY_SECONDS - took, min(took, LARGEST_REST)))
                pause = max(POLL_SECONDS, took / LARGEST_SHARE) if holds else 0.5
                _wait_for_news(listening, pause, stop)


def synchronise(files: DeviceFiles, published: set[int]) -> bool:
    """Bring the broker to what the registry says now; False when it lags behind.

    ``published`` remembers which credentials this process has marked already.
    """
    # Before the lines: one revoked in between is in the file, so not withdrawn yet.
    revoked = set(awaiting_withdrawal_across_tenants().values_list("pk", flat=True))
    lines = list(broker_lines_across_tenants())
    certified = list(certified_across_tenants())
    names = dict.fromkeys(uid for uid, _ in certified)
    if not files.publish(lines, names):
        return False
    ids = {line.credential_id for line in lines} | {pk for _, pk in certified}
    if fresh := ids - published:
        mark_published(sorted(fresh))
    if gone := revoked - ids:
        mark_withdrawn(sorted(gone))
    published.clear()
    published.update(ids)
    return True


def _wait_for_news(
    listening: psycopg.Connection[Any], seconds: float, stop: threading.Event
) -> None:
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        # In short steps, for a stop comes as a signal to this thread.
        if list(listening.notifies(timeout=min(left, 1.0), stop_after=1)):
            list(listening.notifies(timeout=GATHER_SECONDS))
            return


def _address(text: str) -> tuple[str, int] | None:
    if not text:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(f"--listener: {text!r} is not host:port.")
    return host, int(port)
