"""``manage.py mqtt_bridge``: one bridge process, until it is told to stop."""

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

logger = logging.getLogger(__name__)

STUCK_EXIT = 70
COLLECT_AFTER = 50_000  # objects more than were freed; a few batches hold that many


class Command(BaseCommand):
    """Read the broker's uplink into the platform, and its commands out."""

    help = "Run one bridge between the MQTT broker and the platform."

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
    """Look for cycles a few times a second at most: a batch makes none.

    Its tens of thousands of short-lived objects made Python look a hundred times a
    batch, at what was loaded at the start too: a sixth of the bridge's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


def _watch(bridge: Bridge) -> None:
    """End a process that stands still, so that its supervisor starts it anew."""
    pause = threading.Event()
    longest = settings.BRIDGE_STILL_SECONDS
    while bridge.still_seconds < longest:
        pause.wait(longest / 10)
    logger.critical("nothing was processed for %g s", longest)
    faulthandler.dump_traceback()
    os._exit(STUCK_EXIT)
