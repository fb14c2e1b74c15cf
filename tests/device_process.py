"""A real `manage.py device_http` on the database of the test, and waiting polls."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from django.conf import settings
from django.db import connection

from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.ports import answers, free_port
from tests.adapters.bridge_process import BASE, database_url
from tests.waiting import PATIENCE, wait_until


class DeviceProcess:
    """A device process that tests can stop, kill and start again."""

    def __init__(self) -> None:
        # The path of a Unix socket must be short.
        self._folder = tempfile.TemporaryDirectory(prefix="iot-")
        self.handover = Path(self._folder.name) / "device-http.sock"
        self.port = free_port()
        self._log = tempfile.TemporaryFile("w+")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs; return when it listens."""
        if self.is_running:
            return
        words = ["manage.py", "device_http", "--bind", f"127.0.0.1:{self.port}"]
        process = self._process = subprocess.Popen(
            [sys.executable, *words],
            cwd=BASE,
            env=os.environ
            | {
                "DATABASE_URL": database_url(),
                "DATABASE_POOL": "1",
                "DEVICE_HTTP_SOCKET": str(self.handover),
                "DEBUG": "0",
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=dying_with_parent(signal.SIGKILL),
        )
        wait_until(
            lambda: self._listens() or process.poll() is not None,
            what="the device process listens",
        )
        assert self.is_running, self.log()

    def _listens(self) -> bool:
        """Whether both ways are open; the file may be of an earlier process."""
        with socket.socket(socket.AF_UNIX) as link:
            try:
                link.connect(str(self.handover))
            except OSError:
                return False
        return answers("127.0.0.1", self.port)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def connections(self) -> int:
        """How many devices are connected."""
        assert self._process is not None
        found = psutil.Process(self._process.pid).net_connections("tcp")
        stores = {
            int(connection.settings_dict["PORT"]),
            urlsplit(settings.REDIS_URL).port,
        }
        return sum(
            each.status == psutil.CONN_ESTABLISHED and each.raddr.port not in stores
            for each in found
        )

    def send(self, number: signal.Signals) -> int:
        """Send a signal that ends it; return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(20)

    def close(self) -> None:
        if self.is_running:
            self.send(signal.SIGTERM)  # so that no session of it outlives the tests
        self._folder.cleanup()


@dataclass
class WaitingPoll:
    """A poll that a device has sent; its answer is read when the test wants it."""

    port: int
    uid: str
    secret: str
    query: str = "wait=60"
    head: str = field(default="", init=False)

    def __post_init__(self) -> None:
        self._socket = socket.create_connection(
            ("127.0.0.1", self.port), timeout=PATIENCE
        )
        request = (
            f"GET /device/v1/commands/?{self.query} HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Device {self.uid}:{self.secret}\r\n\r\n"
        )
        self._socket.sendall(request.encode())

    def fileno(self) -> int:
        """So that ``select`` says which polls have an answer."""
        return self._socket.fileno()

    def answer(self) -> tuple[int, Any]:
        """Return status and document; (0, None) if the connection ended without one."""
        with self._socket, self._socket.makefile("rb") as file:
            try:
                self.head = _read_head(file)
            except ConnectionResetError:
                return 0, None
            if not self.head:
                return 0, None
            length = self.head.lower().split("content-length: ")[1].split("\r\n")[0]
            return int(self.head.split(" ")[1]), json.loads(file.read(int(length)))


def _read_head(file: Any) -> str:
    lines = []
    while line := file.readline():
        if line == b"\r\n":
            break
        lines.append(line.decode())
    return "".join(lines)
