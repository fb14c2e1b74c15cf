"""Run supervisord as a child process: start it, control it, report its events."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xmlrpc.client import Error as RpcError
from xmlrpc.client import ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from iotplatform.common.private_files import write_private
from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.layout import Layout
from iotplatform.local.programs import Program, supervisor_config

# The path of a Unix socket may have 107 characters; supervisord first binds to a longer
# temporary name, with a dot and its process id.
LONGEST_SOCKET = 90
LOOK_SECONDS = 0.3
START_LOG = "supervisord.log"  # says why supervisord did not start
EXITED = re.compile(r"exited: (?P<name>[\w-]+) \((?P<how>[^;)]*)")
GAVE_UP = re.compile(r"gave up: (?P<name>[\w-]+) entered FATAL")
SUCCESS = re.compile(r"success: (?P<name>[\w-]+) entered RUNNING")
NOT_SPAWNED = re.compile(r"spawnerr: (?P<why>.*)")
RPC_FAILURES = (RpcError, OSError)


class Supervisor:
    """One supervisord with the programs of one stack."""

    def __init__(
        self, layout: Layout, programs: Sequence[Program], say: Callable[[str], None]
    ) -> None:
        self.layout = layout
        self.programs = {program.name: program for program in programs}
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._log = layout.log / "supervisor.log"
        self._read_up_to = self._log.stat().st_size if self._log.exists() else 0
        self._crashes: dict[str, int] = {}
        self._stopping = False
        self._socket = self._socket_path()

    def _socket_path(self) -> Path:
        path = self.layout.run / "supervisor.sock"
        if len(str(path)) <= LONGEST_SOCKET:
            return path
        # The data folder's path is too long: use a private temporary folder.
        return Path(tempfile.mkdtemp(prefix="iot-")) / "supervisor.sock"

    @property
    def device_socket(self) -> Path:
        """Where the web process hands connections to the device process."""
        return self._socket.parent / "device-http.sock"

    def start(self, environment: dict[str, str]) -> None:
        """Start supervisord, and with it the stores."""
        config = self.layout.run / "supervisor.conf"
        programs = list(self.programs.values())
        write_private(config, supervisor_config(self.layout, self._socket, programs))
        command = [sys.executable, "-m", "supervisor.supervisord", "-n"]
        command += ["-c", str(config)]
        with (self.layout.log / START_LOG).open("w") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                # Not a pipe: supervisord must be able to write after we ended.
                stdout=output,
                stderr=output,
                cwd="/",
                env=environment,
                # Ctrl-C must not reach supervisord: we stop things in order.
                start_new_session=True,
                preexec_fn=dying_with_parent(signal.SIGTERM),
            )
        if self._listener is None:
            self._listener = threading.Thread(target=self._listen, daemon=True)
            self._listener.start()

    @property
    def is_alive(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def start_program(self, name: str) -> None:
        """Start one program, unless it runs or is starting already."""
        group = self.programs[name].group
        with contextlib.suppress(RpcError):  # ALREADY_STARTED
            self._rpc().startProcess(f"{group}:{name}", False)

    def start_group(self, group: str, *, but: Sequence[str] = ()) -> None:
        for program in self.programs.values():
            if program.group == group and program.name not in but:
                self.start_program(program.name)

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        return ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def is_ready(self) -> bool:
        """Whether supervisord answers."""
        try:
            self._rpc().getState()
        except RPC_FAILURES:
            return False
        return True

    def _listen(self) -> None:
        """Report the events of supervisord's log that matter to a person."""
        while not self._stopping:
            for line in self._new_lines():
                with contextlib.suppress(OSError):  # the terminal may be gone
                    self._report(line)
            time.sleep(LOOK_SECONDS)

    def _new_lines(self) -> list[str]:
        try:
            with self._log.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._read_up_to:
                    self._read_up_to = 0  # the log was rotated
                file.seek(self._read_up_to)
                text = file.read()
        except OSError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._read_up_to += len(whole)
        return whole.decode(errors="replace").splitlines()

    def _report(self, line: str) -> None:
        if found := EXITED.search(line):
            self._report_crash(found["name"], _exit_status(found["how"]))
        elif found := GAVE_UP.search(line):
            with contextlib.suppress(*RPC_FAILURES):
                self.start_program(found["name"])
        elif found := SUCCESS.search(line):
            if self._crashes.pop(found["name"], 0):
                self._say(f"{found['name']} is running again")
        elif found := NOT_SPAWNED.search(line):
            self._say(f"Cannot start a program: {found['why']}")

    def _report_crash(self, name: str, how: str) -> None:
        count = self._crashes[name] = self._crashes.get(name, 0) + 1
        if count == 1:
            log = self.layout.log / f"{name}.log"
            self._say(f"{name} stopped ({how}) and is being restarted. Log: {log}")
        elif count in (3, 10) or count % 50 == 0:
            self._say(f"{name} stopped {count} times in a row ({how}); trying again")

    def stop(self, *, seconds: float) -> bool:
        """Stop the programs, then the stores; return False if that took too long."""
        self._stopping = True
        if self._child is None:
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child.pid, signal.SIGTERM)
        try:
            self._child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            return False
        finally:
            self._clear_socket()
        return True

    def _clear_socket(self) -> None:
        self._socket.unlink(missing_ok=True)
        self.device_socket.unlink(missing_ok=True)
        if self._socket.parent != self.layout.run:
            with contextlib.suppress(OSError):
                self._socket.parent.rmdir()


def _exit_status(how: str) -> str:
    """`terminated by SIGKILL` → `exit -9`; `exit status 1` → `exit 1`."""
    if how.startswith("exit status "):
        return f"exit {how.removeprefix('exit status ')}"
    name = how.removeprefix("terminated by ").split()[0] if how else "?"
    with contextlib.suppress(KeyError):
        return f"exit -{int(signal.Signals[name])}"
    return how
