"""Run the tools of others: one line for each on the terminal, their output in a log."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from iotplatform.local.errors import SetupError
from iotplatform.local.setup.progress import APT_STATUS
from iotplatform.local.steps import Step

BASE = Path(__file__).resolve().parent.parent.parent.parent
LOGS = BASE / "var" / "log" / "setup"
LOOK_SECONDS = 0.3  # between two looks at how far a tool is
TAIL_LINES = 25


def run_logged(
    title: str,
    *commands: Sequence[str],
    log: str,
    failure: str,
    progress: Callable[[str], str] = lambda output: "",
    environment: dict[str, str] | None = None,
) -> None:
    """Run commands one after the other, as one step with one log file.

    ``progress`` makes of the output so far what the step shows. Raises SetupError with
    ``failure`` and the end of the log if a command fails.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    with path.open("wb") as output, Step(title) as step:
        for command in commands:
            output.write(f"$ {shlex.join(command)}\n".encode())
            output.flush()
            try:
                child = subprocess.Popen(
                    command,
                    cwd=BASE,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            except OSError as error:
                raise SetupError(f"{failure}: {error}") from error
            status = _wait(child, lambda: step.show(progress(read(path))))
            if status:
                raise SetupError(
                    f"{failure} (exit status {status}). The end of {path}:\n"
                    f"{tail(path)}"
                )


def _wait(child: subprocess.Popen[bytes], look: Callable[[], None]) -> int:
    """Wait for a process, and look at its progress meanwhile; return its status."""
    try:
        while True:
            try:
                return child.wait(timeout=LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                look()
    finally:
        if child.poll() is None:  # Ctrl-C, which it has got as well
            child.terminate()
            child.wait()


def read(path: Path) -> str:
    return path.read_text(errors="replace")


def tail(path: Path) -> str:
    """Return the end of a log, indented, without apt's lines for programs."""
    lines = [line for line in read(path).splitlines() if not APT_STATUS.match(line)]
    return "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])
