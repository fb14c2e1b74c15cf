"""A real bridge in a separate process, on the database and broker of the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from django.db import connection

from iotplatform.local.accounts import dying_with_parent
from tests.waiting import PATIENCE, wait_until

BASE = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """The URL of the test's database."""
    at = connection.settings_dict
    account = f"{at['USER']}:{quote(at['PASSWORD'], safe='')}"
    host = at["HOST"] or "localhost"
    return f"postgres://{account}@{host}:{at['PORT']}/{at['NAME']}"


@contextmanager
def database_away() -> Iterator[None]:
    """Disconnect the bridges from the database, and refuse new connections."""
    name = connection.settings_dict["NAME"]
    server = database_url().rpartition("/")[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as other:
        other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        try:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'bridge' AND datname = %s",
                [name],
            )
            yield
        finally:
            other.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


class BridgeProcess:
    """A `manage.py mqtt_bridge` that tests can stop, kill and restart."""

    def __init__(self, mqtt_url: str, *, slots: int = 1, **settings: str) -> None:
        self._env = os.environ | {
            "DATABASE_URL": database_url(),
            "MQTT_URL": mqtt_url,
            "BRIDGE_SLOTS": str(slots),
            "PROCESS_NAME": "bridge",
            "LOG_LEVEL": "INFO",
            "DEBUG": "0",  # Django would keep its last 9,000 statements
            **settings,
        }
        self._log = tempfile.TemporaryFile("w+")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> BridgeProcess:
        self._process = subprocess.Popen(
            [sys.executable, "manage.py", "mqtt_bridge"],
            cwd=BASE,
            env=self._env,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            preexec_fn=dying_with_parent(signal.SIGKILL),
        )
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """Send SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=PATIENCE)

    def wait(self, seconds: float) -> int:
        """Wait until it ends by itself; return the exit status."""
        assert self._process is not None
        return self._process.wait(timeout=seconds)

    def log(self) -> str:
        self._log.seek(0)
        return self._log.read()


def wait_for_listening(*bridges: BridgeProcess, slots: int = 1) -> None:
    """Wait until every slot has subscribed."""
    wait_until(
        lambda: sum(b.log().count(": listening") for b in bridges) >= slots,
        what="all slots are read",
    )


def waiting_for_locks() -> int:
    """Return how many sessions of bridges wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT a.pid) FROM pg_locks l JOIN pg_stat_activity a"
            " USING (pid) WHERE NOT l.granted AND a.application_name = 'bridge'"
            " AND a.datname = current_database()"
        )
        row = cursor.fetchone()
    return int(row[0]) if row else 0
