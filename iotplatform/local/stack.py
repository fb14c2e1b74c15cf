"""Start, watch and stop the embedded stack."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iotplatform.common.private_files import write_private
from iotplatform.common.stop_signal import stop_event
from iotplatform.local.errors import SetupError
from iotplatform.local.layout import Layout
from iotplatform.local.orphan_processes import (
    find_orphans,
    stop_orphans,
)
from iotplatform.local.parent import ParentWatch
from iotplatform.local.ports import LOOPBACK, answers, missing_parts
from iotplatform.local.programs import APPS, BASE_DIR, app_programs, manage
from iotplatform.local.static_files import are_collected, remember_collected
from iotplatform.local.steps import Step, say
from iotplatform.local.stores import Stores, choose_stores
from iotplatform.local.supervision import Supervisor
from iotplatform.local.terminal import announce

STOP_SECONDS = 15.0
STORES_SECONDS = 60.0
WEB_SECONDS = 120.0  # all processes load at the same time, on busy machines too
READY_SECONDS = 60.0


class Stopped(Exception):
    """The stack was asked to stop."""


class Stack:
    """One run of the embedded stack in the foreground."""

    def __init__(self, layout: Layout, *, demo_devices: int | None) -> None:
        self.layout = layout
        self.demo_devices = demo_devices
        self._stop = threading.Event()
        self._parent = ParentWatch()
        self._supervisor: Supervisor | None = None

    def run(self) -> None:
        """Start everything, and run until asked to stop.

        Raises SetupError if it cannot continue; then nothing is left running.
        """
        self._install_signal_handlers()
        os.umask(0o077)  # nobody else may read our files
        self.layout.prepare()
        with self._locked():
            try:
                self._start_and_watch()
            except Stopped:
                pass
            finally:
                self._end()

    def _install_signal_handlers(self) -> None:
        self._stop = stop_event()
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # respect nohup
            signal.signal(signal.SIGHUP, lambda number, frame: self._stop.set())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.layout.lock_file.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise SetupError(self._already_running()) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def _already_running(self) -> str:
        pid = self.layout.lock_file.read_text().strip() or "unknown"
        try:
            url = json.loads(self.layout.demo_file.read_text())["url"]
        except (OSError, ValueError, KeyError):
            url = "still starting"
        return (
            f"The platform is already running on {self.layout.root} (process {pid}, "
            f"{url}). Stop it first, or choose another IOT_DATA_DIR for this one."
        )

    def _start_and_watch(self) -> None:
        self.layout.demo_file.unlink(missing_ok=True)
        self.layout.demo_ready_file.unlink(missing_ok=True)
        if find_orphans(self.layout.root):
            with Step("Stopping processes that a killed platform left running"):
                stop_orphans(self.layout.root)
        stores = choose_stores(self.layout, say)
        self._make_stores(stores)
        environment = stores.environment()
        if self.demo_devices is not None:
            environment["DEMO_READY_FILE"] = str(self.layout.demo_ready_file)
        self._start_supervisor(stores, environment)
        self._set_up(environment)
        self._start_apps(stores, environment)
        self._watch(stores, environment)

    def _make_stores(self, stores: Stores) -> None:
        if stores.postgres:
            with Step("PostgreSQL's data folder"):
                stores.postgres.prepare()
        if stores.valkey:
            stores.valkey.prepare()
        if stores.broker:
            stores.broker.prepare()
        stores.write_env_file()

    def _start_supervisor(self, stores: Stores, environment: dict[str, str]) -> None:
        files_broker = stores.broker.folder if stores.broker else None
        programs = stores.programs() + app_programs(
            self.layout,
            port=stores.port,
            files_broker=files_broker,
            demo_devices=self.demo_devices,
        )
        self._supervisor = Supervisor(self.layout, programs, say)
        environment["DEVICE_HTTP_SOCKET"] = str(self._supervisor.device_socket)
        with Step("Stores"):
            self._supervisor.start(environment)
            self._wait_for_stores(stores)

    def _wait_for_stores(self, stores: Stores) -> None:
        supervisor = self._supervisor
        assert supervisor is not None

        def given_up() -> bool:
            return self._asked_to_stop() or not supervisor.is_alive

        self._wait_until(
            supervisor.is_ready, STORES_SECONDS, "supervisord", "supervisord"
        )
        if stores.postgres:
            if not stores.postgres.wait(seconds=STORES_SECONDS, given_up=given_up):
                self._fail("PostgreSQL does not answer", "postgres")
            stores.postgres.ensure_role(self.layout.secrets()["database_password"])
        for name, port in (
            ("valkey", stores.valkey and stores.valkey.port),
            ("broker", stores.broker and stores.broker.device_port),
        ):
            if port:
                self._wait_until(lambda p=port: answers(LOOPBACK, p), 30, name, name)

    def _set_up(self, environment: dict[str, str]) -> None:
        commands = [["migrate", "--no-input", "-v", "1"]]
        is_stale = not are_collected()
        if is_stale:
            commands.append(["collectstatic", "--no-input", "-v", "0"])
        with Step("Database and static files" if is_stale else "Database"):
            self._manage(environment, *commands)
            # A stack that was off for days has no partition for today.
            self._manage(environment, ["maintain_partitions"])
        if is_stale:
            remember_collected()

    def _start_apps(self, stores: Stores, environment: dict[str, str]) -> None:
        supervisor = self._supervisor
        assert supervisor is not None
        supervisor.start_group(APPS, but=["simulator"])
        url = f"http://{LOOPBACK}:{stores.port}/"
        addresses = {"url": url, "port": stores.port, "mqtt_port": stores.mqtt_port}
        write_private(self.layout.demo_file, json.dumps(addresses) + "\n")
        if self.demo_devices is not None:
            with Step(f"Demo fleet of {self.demo_devices} devices"):
                count = str(self.demo_devices)
                self._manage(environment, ["load_demo", "--devices", count])
                supervisor.start_program("simulator")
                # Wait for its first reports and for the index; then /readyz is ready.
                self._manage(environment, ["await_demo"])
        with Step("Web and bridge"):
            # It accepts connections long before it has loaded and can answer.
            self._wait_until(
                lambda: missing_parts(f"{url}readyz") is not None,
                WEB_SECONDS,
                "web",
                "web",
            )
            self._wait_until_ready(f"{url}readyz")
        announce(
            url=url,
            mqtt_port=stores.mqtt_port,
            log=self.layout.log,
            is_demo=self.demo_devices is not None,
            is_stand_in=bool(stores.broker and stores.broker.is_stand_in),
        )

    def _wait_until_ready(self, url: str) -> None:
        """Wait until every part is ready; after READY_SECONDS, name what is missing."""
        deadline = time.monotonic() + READY_SECONDS
        while (missing := missing_parts(url)) != "" and not self._asked_to_stop(
            wait=0.2
        ):
            if time.monotonic() > deadline:
                what = missing or "the web process does not answer"
                say(f"Continuing, although not everything is ready: {what}")
                return

    def _watch(self, stores: Stores, environment: dict[str, str]) -> None:
        """Run until asked to stop; replace a supervisord that ended."""
        supervisor = self._supervisor
        assert supervisor is not None
        while not self._asked_to_stop(wait=0.5):
            if supervisor.is_alive:
                continue
            say("supervisord stopped: starting everything again")
            stop_orphans(self.layout.root)
            supervisor.start(environment)
            self._wait_for_stores(stores)
            supervisor.start_group(APPS)

    def _asked_to_stop(self, *, wait: float = 0.0) -> bool:
        if self._parent.is_stopping():
            self._stop.set()
        return self._stop.wait(wait) if wait else self._stop.is_set()

    def _wait_until(self, holds, seconds: float, what: str, log: str) -> None:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + seconds
        while not holds():
            if self._asked_to_stop(wait=0.1):
                raise Stopped
            alive = self._supervisor is not None and self._supervisor.is_alive
            if time.monotonic() > deadline or not alive:
                self._fail(f"{what} does not answer", log)

    def _manage(self, environment: dict[str, str], *commands: list[str]) -> None:
        """Run management commands in parallel; their output goes to log files."""
        children = {}
        for words in commands:
            with (self.layout.log / f"{words[0]}.log").open("w") as output:
                children[words[0]] = subprocess.Popen(
                    manage(*words),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=BASE_DIR,
                    env=environment | {"PROCESS_NAME": words[0]},
                    start_new_session=True,
                )
        while any(child.poll() is None for child in children.values()):
            if self._asked_to_stop(wait=0.05):
                for child in children.values():
                    child.terminate()
                raise Stopped  # _end() stops those that still run
        for name, child in children.items():
            if child.returncode:
                self._fail(f"manage.py {name} failed", name)

    def _fail(self, what: str, log: str) -> None:
        if self._stop.is_set():
            raise Stopped
        path = self.layout.log / f"{log}.log"
        raise SetupError(f"{what}. The end of {path}:\n{_tail(path)}")

    def _end(self) -> None:
        """Stop everything; kill what does not stop."""
        began = time.monotonic()
        if self._supervisor is not None:
            say("Stopping …")
            self._supervisor.stop(seconds=STOP_SECONDS)
        # Also processes that supervisord does not know any more.
        stop_orphans(self.layout.root, seconds=2)
        self.layout.demo_file.unlink(missing_ok=True)
        self.layout.demo_ready_file.unlink(missing_ok=True)
        if self._supervisor is not None:
            say(f"Stopped after {time.monotonic() - began:.1f} s.")


def _tail(path: Path, lines: int = 15) -> str:
    try:
        found = path.read_text(errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(f"    {line}" for line in found[-lines:])


def run_stack(data_dir: Path, *, demo_devices: int | None) -> int:
    """Run until stopped; return the exit status."""
    try:
        Stack(Layout(data_dir), demo_devices=demo_devices).run()
    except SetupError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0
