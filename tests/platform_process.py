"""The whole real platform as a separate process, as `make demo` runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

import psutil
import psycopg
from supervisor.xmlrpc import SupervisorTransport

from iotplatform.local.layout import read_env_file
from iotplatform.local.orphan_processes import stop_orphans
from iotplatform.local.ports import free_port
from tests.folders import new_folder
from tests.waiting import PATIENCE, wait_until

BASE = Path(__file__).resolve().parent.parent
# Variables of a tester's shell that the platform must not inherit: it sets its own.
OTHERS = ("DATABASE_URL", "REDIS_URL", "MQTT_URL", "SECRET_KEY", "DEBUG", "LOG_LEVEL")


class Platform:
    """A `manage.py up` on free ports in its own folder; ``url`` has no final slash."""

    def __init__(
        self, folder: Path | None = None, environment: dict[str, str] | None = None
    ) -> None:
        self._made = None if folder else new_folder()
        self.data_dir = folder or Path(str(self._made)) / "var"
        kept = {k: v for k, v in os.environ.items() if k not in OTHERS}
        ports = {"PORT": str(free_port()), "MQTT_PORT": str(free_port())}
        self.environment = kept | ports | {"IOT_DATA_DIR": str(self.data_dir)}
        self.environment |= environment or {}
        self.output_file = self.data_dir.parent / f"{self.data_dir.name}.terminal"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, command: Sequence[str] = ()) -> None:
        """Start it; its output goes to a file."""
        words = [*(command or [sys.executable, "manage.py", "up"]), *options]
        with self.output_file.open("a") as terminal:
            self.process = subprocess.Popen(
                words,
                cwd=BASE,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.STDOUT,
                # As in a terminal. This test run may be a background job of a shell,
                # which ignores SIGINT, and make would inherit that.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def terminal(self) -> str:
        return self.output_file.read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.environment['PORT']}"

    @property
    def mqtt_port(self) -> int:
        return int(self.environment["MQTT_PORT"])

    @property
    def env(self) -> dict[str, str]:
        """The values that the embedded stack wrote to run/env."""
        return read_env_file(self.data_dir / "run" / "env")

    def has_ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def wait_for(self, path: str = "/readyz", *, seconds: float = 400.0) -> None:
        """Wait until a path answers 200; fail at once if the platform has ended."""

        def answers_or_ended() -> bool:
            return self.status_of(path) == 200 or self.has_ended()

        try:
            wait_until(answers_or_ended, seconds=seconds, what=path, every=0.2)
            assert not self.has_ended(), "the platform ended"
        except AssertionError as error:
            raise AssertionError(
                f"{error}\n{self.terminal}\n{self._tails()}"
            ) from error

    def status_of(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def logs(self, process: str) -> str:
        """Return a process's log."""
        path = self.data_dir / "log" / f"{process}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _tails(self) -> str:
        logs = sorted((self.data_dir / "log").glob("*.log"))
        return "\n".join(f"--- {p.name}\n{p.read_text()[-1500:]}" for p in logs)

    def processes(self) -> dict[str, dict[str, Any]]:
        """Return supervisor's information about each process, by name."""
        socket = self.data_dir / "run" / "supervisor.sock"
        transport = SupervisorTransport(None, None, f"unix://{socket}")
        proxy: Any = ServerProxy("http://127.0.0.1", transport=transport)
        return {info["name"]: info for info in proxy.supervisor.getAllProcessInfo()}

    def pid_of(self, process: str) -> int:
        return int(self.processes()[process]["pid"])

    def answers(self) -> bool:
        """Whether supervisor answers."""
        try:
            return bool(self.processes())
        except OSError:
            return False

    def kill_supervisor(self) -> None:
        """Send SIGKILL to supervisord; its child processes then have no parent."""
        pid = int((self.data_dir / "run" / "supervisord.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not _runs(pid), what="supervisord is gone")

    def kill(self, process: str) -> int:
        """Send SIGKILL to one process; return its pid."""
        pid = wait_until(lambda: self.pid_of(process), what=f"{process} runs")
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_until_replaced(self, process: str, pid: int, seconds: float = 30) -> None:
        wait_until(
            lambda: self.pid_of(process) not in (0, pid),
            seconds=seconds,
            what=f"another {process}",
        )

    def sql(
        self, query: str, parameters: Sequence[object] = (), *, role: str = "none"
    ) -> list[tuple[Any, ...]]:
        """Query the platform's database over a new connection; return the rows.

        The default role owns the tables, and row security hides all tenants' rows from
        it.
        """
        with psycopg.connect(
            self.env["DATABASE_URL"], connect_timeout=5, options=f"-c role={role}"
        ) as connection:
            cursor = connection.execute(query.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

    def manage(self, *arguments: str) -> str:
        """Run a management command on its stores; return the output."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """Stop it and return the exit status; kill it and fail after 20 s."""
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout=20)
        except subprocess.TimeoutExpired as error:
            self.process.kill()
            stop_orphans(self.data_dir)
            raise AssertionError(f"not stopped in 20 s\n{self.terminal}") from error
        finally:
            self.process = None

    def discard(self) -> None:
        """Stop everything that is left of it, and remove its data."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        stop_orphans(self.data_dir, seconds=2)
        shutil.rmtree(self._made or self.data_dir, ignore_errors=True)
        self.output_file.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
