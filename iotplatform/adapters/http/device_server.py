"""The server of the device process: uvicorn, on an address of its own and on
connections that the web process hands over.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import uvicorn

from iotplatform.adapters.http.connection_handover import HandedConnections
from iotplatform.adapters.http.device_application import DeviceApplication

STOP_SECONDS = 4  # as gunicorn's in the embedded stack
# Longer than the proxies keep their connections to us: who closes first must be they.
KEEP_ALIVE_SECONDS = 75


class DeviceServer(uvicorn.Server):
    """Serves devices until SIGTERM or SIGINT."""

    def __init__(self, handover: Path | None) -> None:
        self._application = DeviceApplication()
        config = uvicorn.Config(
            self._application,
            http="httptools",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        super().__init__(config)
        self._handover = handover
        self._handed: HandedConnections | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets, and for connections of the web process."""
        if self._handover is not None:
            loop = asyncio.get_running_loop()

            def adopt(connection: socket.socket, head: bytes) -> None:
                asyncio.run_coroutine_threadsafe(self._adopt(connection, head), loop)

            self._handed = HandedConnections(self._handover, adopt)
            self._handed.start()
        await super().startup(sockets)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer the waiting polls, finish the other requests, and end."""
        if self._handed is not None:
            await asyncio.to_thread(self._handed.stop)
        self._application.end_waits()
        await super().shutdown(sockets)

    async def _adopt(self, connection: socket.socket, head: bytes) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        _, protocol = await loop.connect_accepted_socket(self._protocol, connection)
        protocol.data_received(head)

    def _protocol(self) -> Any:
        factory: Any = self.config.http_protocol_class
        return factory(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
