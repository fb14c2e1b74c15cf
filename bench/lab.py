"""Real stores for a benchmark: a durable PostgreSQL and a Mosquitto."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_urlsafe

import psutil

from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.broker import Broker, find_mosquitto
from iotplatform.local.ports import LOOPBACK, answers, free_port
from iotplatform.local.postgres import ROLE, Postgres

BASE = Path(__file__).resolve().parent.parent
SECRET = "bench"


class Lab:
    """One folder, one database server, one broker; all of them end with it."""

    def __init__(self, folder: Path) -> None:
        mosquitto = find_mosquitto()
        if mosquitto is None:
            raise SystemExit("This benchmark needs Mosquitto (Debian: mosquitto).")
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._named: dict[str, subprocess.Popen[bytes]] = {}
        self.postgres = Postgres.at(
            folder / "postgres", port=free_port(), password=SECRET
        )
        self.broker = Broker.at(
            folder / "broker",
            device_port=free_port(),
            platform_port=free_port(),
            password=SECRET,
            mosquitto=mosquitto,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a platform process in this lab."""
        return os.environ | {
            "IOT_DATA_DIR": str(self.folder / "data"),
            "DATABASE_URL": self.postgres.url(ROLE, SECRET),
            "MQTT_URL": self.broker.url,
            "SECRET_KEY": token_urlsafe(50),
            "LOG_LEVEL": "INFO",
        }

    def load_django(self, role: str = "iot_worker", **environment: str) -> None:
        """Make this process one of the lab's, so that it may import the platform."""
        os.environ.update(self.environment | {"DATABASE_ROLE": role} | environment)
        os.environ["DJANGO_SETTINGS_MODULE"] = "iotplatform.settings"
        import django

        django.setup()

    @property
    def admin_url(self) -> str:
        """The database address of a superuser, who sees the rows of all tenants."""
        return self.postgres.url("postgres", self.postgres.password)

    def start_stores(self) -> None:
        """Start both stores and create the tables."""
        self.postgres.prepare()
        self.start("postgres", self.postgres.command(dies_by="INT"))
        if not self.postgres.wait(seconds=30, given_up=lambda: False):
            raise SystemExit((self.folder / "postgres.log").read_text())
        self.postgres.ensure_role(SECRET)
        self.broker.prepare()
        self.start("broker", self.broker.command(dies_by="TERM"))
        until(lambda: answers(LOOPBACK, self.broker.platform_port), "the broker")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
            cwd=BASE,
            env=self.environment,
            check=True,
        )

    def start(
        self, name: str, command: list[str], **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends with the lab; its output goes to a file."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=BASE,
                env=self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=dying_with_parent(signal.SIGTERM),
                start_new_session=True,
            )
        self.processes.append(process)
        self._named[name] = process
        return process

    def process(self, name: str) -> subprocess.Popen[bytes]:
        return self._named[name]

    def cpu_seconds(self, *names: str) -> float:
        """Return the CPU time that these processes and their children have used.

        Of children, also those that have ended, as a database's connections do.
        """
        total = 0.0
        for name in names:
            process = psutil.Process(self._named[name].pid)
            for each in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    total += sum(each.cpu_times()[:4])
        return total

    def stop(self) -> None:
        """Stop all processes, the newest first."""
        for process in reversed(self.processes):
            stop_process(process)


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process; kill it if it has not ended after 15 seconds."""
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def open_lab() -> Iterator[Lab]:
    """Open a lab in a temporary folder, with its stores started."""
    folder = Path(tempfile.mkdtemp(prefix="iot-bench-"))
    folder.chmod(0o711)  # as root, the stores run under other accounts
    lab = Lab(folder)
    try:
        lab.start_stores()
        yield lab
    finally:
        lab.stop()
        shutil.rmtree(folder, ignore_errors=True)


def until(look: Callable[[], bool], what: str, *, seconds: float = 60.0) -> None:
    """Wait for a condition; exit with an error after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.02)
