"""``manage.py device_http``: serve devices over HTTP, apart from the web process."""

from __future__ import annotations

import gc
import logging
import resource
import signal
import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from iotplatform.adapters.http.device_server import DeviceServer
from iotplatform.adapters.http.liveness import HttpHeartbeat
from iotplatform.checks import OF_SETTINGS
from iotplatform.common.query_parameters import load_extensions

logger = logging.getLogger(__name__)

BACKLOG = 2_048
COLLECT_AFTER = (
    50_000  # as in the bridge: waiting polls are many objects, and no cycles
)


class Command(BaseCommand):
    """Serve `/device/v1/`: its waiting polls take no thread."""

    help = "Serve devices over HTTP, with any number of waiting polls."
    requires_system_checks = [OF_SETTINGS]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--bind", default="", help="address:port to listen on")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        # The device endpoints alone: the console and the API are half of the start.
        settings.ROOT_URLCONF = "iotplatform.device_urls"
        # A poll that no batch can answer is answered by the view: at once.
        settings.DEVICE_POLLS = 0
        listeners = [_listener(options["bind"])] if options["bind"] else []
        handover = settings.DEVICE_HTTP_SOCKET
        if not listeners and not handover:
            raise CommandError("Give --bind, or set DEVICE_HTTP_SOCKET, or both.")
        _allow_many_connections()
        server = DeviceServer(Path(handover) if handover else None)
        load_extensions()
        gc.collect()
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER)
        HttpHeartbeat().start()
        # uvicorn stops in order, and then sends itself the signal once more.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        server.run(listeners)


def _listener(bind: str) -> socket.socket:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal():
        raise CommandError(
            f"--bind must be address:port, for example 0.0.0.0:8001, not {bind!r}."
        )
    try:
        return socket.create_server(
            (host.strip("[]"), int(port)),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            backlog=BACKLOG,
        )
    except (OSError, OverflowError) as error:
        raise CommandError(f"Cannot listen on {bind}: {error}") from None


def _allow_many_connections() -> None:
    """Raise this process's limit of open files as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS refuses "infinity"
        logger.info("at most %s open files", soft)
