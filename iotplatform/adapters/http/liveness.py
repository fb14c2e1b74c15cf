"""Records every second that the HTTP adapter runs, as bridges do for their slots.

While no web process records this, devices that use HTTP cannot reach us. Their silence
then says nothing about them.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from datetime import UTC, datetime

from django.db import Error, connection

from iotplatform.common import tenant_scope
from state.services.presence.adapter_liveness import record_http_heartbeat

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0


class HttpHeartbeat:
    """A thread that records heartbeats for as long as its web process runs."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="http-heartbeat", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; only tests need this, because it ends with its process."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        owner = f"{socket.gethostname()}:{os.getpid()}"
        with tenant_scope.as_role(tenant_scope.BRIDGE):
            while True:
                try:
                    record_http_heartbeat(owner, now=datetime.now(UTC))
                except Error as error:
                    logger.warning("cannot record the HTTP heartbeat: %s", error)
                finally:
                    connection.close()
                if self._stopped.wait(BEAT_SECONDS):
                    return
