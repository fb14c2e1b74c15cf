"""``manage.py mqtt_bridge``: run one bridge process until it is told to stop."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import signal
import socket
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from iotplatform.adapters.mqtt.address import BadAddress, BrokerAddress
from iotplatform.adapters.mqtt.bridge import Bridge
from iotplatform.checks import OF_SETTINGS

logger = logging.getLogger(__name__)

STUCK_EXIT = 70
COLLECT_AFTER = 50_000  # objects created and not freed; a few batches create that many


class Command(BaseCommand):
    """Ingest messages from the broker, and publish commands to it."""

    help = "Run one bridge between the MQTT broker and the platform."
    requires_system_checks = [OF_SETTINGS]

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT."""
        try:
            address = BrokerAddress.parse(settings.MQTT_URL)
        except BadAddress as error:
            raise CommandError(str(error)) from None
        bridge = Bridge(address, f"{socket.gethostname()}:{os.getpid()}")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: bridge.stop())
        _collect_rarely()
        threading.Thread(target=_watch, args=[bridge], daemon=True).start()
        bridge.run()


def _collect_rarely() -> None:
    """Collect garbage a few times a second at most: a batch creates no cycles.

    A batch creates tens of thousands of short-lived objects. By default they triggered
    a hundred collections per batch, which also visited all loaded modules and took a
    sixth of the bridge's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _watch(bridge: Bridge) -> None:
    """End the process if the bridge hangs, so that its supervisor restarts it."""
    pause = threading.Event()
    longest = settings.BRIDGE_STILL_SECONDS
    while bridge.still_seconds < longest:
        pause.wait(longest / 10)
    logger.critical("the bridge processed nothing for %g s", longest)
    faulthandler.dump_traceback()
    os._exit(STUCK_EXIT)
