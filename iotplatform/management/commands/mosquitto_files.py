"""`manage.py mosquitto_files`: keep a broker's device files equal to the registry."""

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

from iotplatform.adapters.mqtt.credential_files import DeviceFiles
from iotplatform.checks import OF_SETTINGS
from iotplatform.common.notify import listen
from iotplatform.common.stop_signal import stop_event
from registry.selectors.credentials import (
    list_awaiting_withdrawal_across_tenants,
    list_broker_lines_across_tenants,
    list_certificates_across_tenants,
)
from registry.services.credentials import mark_published, mark_withdrawn

CHANNEL = "registry_credentials"
POLL_SECONDS = 2.0
# Wait this long for more changes: an import or a batch of registrations needs only one
# reload.
GATHER_SECONDS = 0.05
# While changes keep coming, reload three times a second at most: with each reload the
# broker reads everything. A waiting request waits this much longer at most.
RELOAD_EVERY_SECONDS = 0.33
LARGEST_REST = 0.5
# Reading a very large fleet takes a while. It may use at most this share of a CPU core.
LARGEST_SHARE = 0.05
log = logging.getLogger(__name__)


class Command(BaseCommand):
    """Write password and access files, reload the broker, record what is in force."""

    help = "Keep the device files of a Mosquitto broker on this machine up to date."
    requires_system_checks = [OF_SETTINGS]

    def add_arguments(self, parser: CommandParser) -> None:
        port = os.environ.get("MQTT_PORT", "1883")
        parser.add_argument("--dir", default=str(settings.DATA_DIR / "broker"))
        parser.add_argument("--pid-file", default="", help="default: DIR/broker.pid")
        parser.add_argument(
            "--listener",
            default=f"127.0.0.1:{port}",
            help="the devices' listener without TLS, to check that the broker has"
            " loaded the new files; empty: do not check",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(options["dir"])
        if not folder.is_dir():
            raise CommandError(f"--dir: {folder} is not a folder.")
        pid_file = Path(options["pid_file"] or folder / "broker.pid")
        files = DeviceFiles(folder, pid_file, _address(options["listener"]))
        stop = stop_event()
        published: set[int] = set()
        while not stop.is_set():
            try:
                self._follow(files, published, stop)
            except (OperationalError, InterfaceError, psycopg.Error) as error:
                log.warning("The database does not answer (%s): trying again", error)
                stop.wait(1.0)

    def _follow(
        self, files: DeviceFiles, published: set[int], stop: threading.Event
    ) -> None:
        """Synchronise now, then after each notification and every few seconds."""
        close_old_connections()
        with contextlib.closing(listen(CHANNEL)) as listening:
            while not stop.is_set():
                began = time.monotonic()
                is_current = synchronise(files, published)
                took = time.monotonic() - began
                # A large fleet takes longer; the broker needs time to serve in between.
                stop.wait(max(RELOAD_EVERY_SECONDS - took, min(took, LARGEST_REST)))
                pause = max(POLL_SECONDS, took / LARGEST_SHARE) if is_current else 0.5
                _wait_for_change(listening, pause, stop)


def synchronise(files: DeviceFiles, published: set[int]) -> bool:
    """Bring the broker's files up to date; False if the broker has not loaded them yet.

    ``published`` holds the credentials that this process has already marked.
    """
    # Read before the lines: a credential revoked in between is still in the file, and
    # so not withdrawn yet.
    revoked = set(
        list_awaiting_withdrawal_across_tenants().values_list("pk", flat=True)
    )
    lines = list(list_broker_lines_across_tenants())
    certified = list(list_certificates_across_tenants())
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


def _wait_for_change(
    listening: psycopg.Connection[Any], seconds: float, stop: threading.Event
) -> None:
    deadline = time.monotonic() + seconds
    while not stop.is_set() and (left := deadline - time.monotonic()) > 0:
        # In short steps: a stop arrives as a signal to this thread.
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
