"""Find and stop the processes that a killed stack left running."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import psutil

MARK = "IOT_STACK"


def find_orphans(root: Path) -> list[psutil.Process]:
    """Every process that a stack on this data folder left running."""
    postmaster_file = root / "postgres" / "data" / "postmaster.pid"
    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with contextlib.suppress(psutil.Error):
            marked = process.environ().get(MARK) == str(root)
            if marked or _is_postmaster(process, postmaster_file):
                found.append(process)
    return found


def _is_postmaster(process: psutil.Process, file: Path) -> bool:
    """Recognise PostgreSQL by its command: its title overwrites its environment."""
    if process.name() != "postgres":
        return False
    return str(file.parent) in process.cmdline()


def stop_orphans(root: Path, *, seconds: float = 8.0) -> int:
    """Stop them, supervisor first, and kill those that stay; return how many."""
    found = find_orphans(root)
    supervisors = [process for process in found if _is_supervisor(process)]
    _ask_to_stop(supervisors)
    psutil.wait_procs(supervisors, timeout=seconds if supervisors else 0)
    rest = find_orphans(root)
    _ask_to_stop(rest)
    _, alive = psutil.wait_procs(rest, timeout=seconds / 2)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=2)
    return len({process.pid for process in found + rest})


def _is_supervisor(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return "supervisor.supervisord" in process.cmdline()
    return False


def _ask_to_stop(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            # On SIGTERM, PostgreSQL would wait for its clients.
            is_postgres = process.name() == "postgres"
            process.send_signal(signal.SIGINT if is_postgres else signal.SIGTERM)
