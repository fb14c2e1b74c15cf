"""Says every second that the web's door for devices is open, as bridges do of theirs.

While no web process says so, devices that speak HTTP could not be heard, and their
silence is no verdict on them.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from datetime import UTC, datetime

from django.db import Error, connection

from iotplatform.common import tenant_scope
from state.services.presence.adapter_liveness import beat_of_door

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


class DoorBeat:
    """A thread of a web process that beats for as long as the process serves."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End, for tests: a process that ends takes its thread along."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        owner = f"{socket.gethostname()}:{os.getpid()}"
        with tenant_scope.as_role(tenant_scope.BRIDGE):
            while True:
                try:
                    beat_of_door(owner, now=datetime.now(UTC))
                except Error as error:
                    logger.warning("the database is away from the door: %s", error)
                finally:
                    connection.close()
                if self._stopped.wait(BEAT_SECONDS):
                    return
