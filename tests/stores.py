"""Pytest plugin: the stores of a test run, started before Django reads its settings.

With DATABASE_URL or REDIS_URL set, those are used; else embedded ones
run in a temporary folder for as long as the tests do. Where several processes share the
tests (pytest-xdist), they share the servers too, and each has a database of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.ports import answers, free_port
from iotplatform.local.postgres import ROLE, Postgres
from iotplatform.local.valkey import Valkey
from tests.folders import new_folder, remove_leftovers
from tests.waiting import wait_until

SECONDS = 30
# Where the parity suite finds Elasticsearch; all other tests use the embedded index.
ELASTICSEARCH = "IOT_TEST_ELASTICSEARCH_URL"
_stores: list[TemporaryStore] = []


class TemporaryStore:
    """One server of this test run, which dies with it at the latest."""

    def __init__(self, command: list[str], log: Path, stop: signal.Signals) -> None:
        self._stop = stop
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C stops the tests, which then stop this.
                start_new_session=True,
                preexec_fn=dying_with_parent(stop),
                cwd="/",
            )

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self) -> None:
        self._process.send_signal(self._stop)
        try:
            self._process.wait(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before pytest-django: put the stores' addresses into the environment."""
    options = early_config.known_args_namespace
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")  # gw0, gw1, …
    if not worker:
        remove_leftovers()
    folder = new_folder(worker or "stores")
    early_config.add_cleanup(lambda: _stop_all(folder))
    if worker:
        os.environ["IOT_DATA_DIR"] = str(folder / "data")
    os.environ.setdefault("IOT_DATA_DIR", str(folder / "data"))
    # Empty: pages are drawn from the sources, and WhiteNoise warns of a missing folder.
    Path(os.environ["IOT_DATA_DIR"], "static").mkdir(parents=True, exist_ok=True)
    if url := os.environ.pop("ELASTICSEARCH_URL", ""):
        os.environ[ELASTICSEARCH] = url
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(50))
    os.environ.setdefault("DEBUG", "1")  # no manifest of static files is wanted
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    # Tests make rows of all tenants as the owner; requests still have a tenant scope.
    os.environ["DATABASE_ROLE"] = "none"
    if options.help or options.version or options.collectonly:
        return
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = _start_postgres(folder)
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _start_valkey(folder)
    if worker:
        os.environ["REDIS_URL"] = _numbered(os.environ["REDIS_URL"], worker)


def _start_postgres(folder: Path) -> str:
    server = Postgres.at(
        folder / "postgres", port=free_port(), password="tests", durable=False
    )
    server.prepare()
    store = TemporaryStore(
        server.command(dies_by="INT"), folder / "postgres.log", signal.SIGINT
    )
    _stores.append(store)
    if not server.wait(seconds=SECONDS, given_up=store.has_ended):
        raise pytest.UsageError((folder / "postgres.log").read_text())
    server.ensure_role("tests")
    return server.url(ROLE, "tests")


def _start_valkey(folder: Path) -> str:
    server = Valkey.at(folder / "valkey", port=free_port(), password="tests")
    server.prepare()
    command = server.command(dies_by="TERM")
    _stores.append(TemporaryStore(command, folder / "valkey.log", signal.SIGTERM))
    is_up: Callable[[], bool] = lambda: answers("127.0.0.1", server.port)  # noqa: E731
    wait_until(is_up, seconds=SECONDS, what="Valkey of the tests")
    return server.url


def _numbered(url: str, worker: str) -> str:
    """Return the address of the worker's own database of a Redis server."""
    number = int(worker.removeprefix("gw")) + 1
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def _stop_all(folder: Path) -> None:
    while _stores:
        _stores.pop().stop()
    shutil.rmtree(folder, ignore_errors=True)
