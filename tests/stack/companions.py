"""A second bridge and a second worker beside a platform; killed, they come back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.platform_process import BASE, Platform

CELERY = [sys.executable, "-m", "celery", "-A", "iotplatform", "worker"]
COMMANDS = {
    "bridge-2": [sys.executable, "manage.py", "mqtt_bridge"],
    "worker-2": [
        *CELERY,
        *("--without-gossip", "--without-mingle", "--loglevel", "WARNING"),
        *("--hostname", "clock2@local", "--queues", "clock", "--concurrency", "1"),
    ],
}


class Companions:
    """Processes that somebody starts again, as supervisor does for the others."""

    def __init__(self, platform: Platform, names: Sequence[str]) -> None:
        self._environment = platform.environment | {"CELERY_SKIP_CHECKS": "1"}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._ended = threading.Event()
        self._guards = [
            threading.Thread(target=self._guard, args=(name,), daemon=True)
            for name in names
        ]
        for guard in self._guards:
            guard.start()

    def _guard(self, name: str) -> None:
        while not self._ended.is_set():
            self._running[name] = subprocess.Popen(
                COMMANDS[name],
                cwd=BASE,
                env=self._environment | {"PROCESS_NAME": name},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a worker has children
            )
            self._running[name].wait()
            self._ended.wait(0.5)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and its children."""
        process = self._running.get(name)
        if process is not None and process.poll() is None:
            os.killpg(process.pid, number)

    def stop(self) -> None:
        self._ended.set()
        for name in self._running:
            self.signal(name, signal.SIGKILL)
        for guard in self._guards:
            guard.join(timeout=10)


@contextmanager
def companions(platform: Platform, *names: str) -> Iterator[Companions]:
    """Run these beside a platform."""
    running = Companions(platform, names or list(COMMANDS))
    try:
        yield running
    finally:
        running.stop()
