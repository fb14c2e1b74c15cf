"""Folders of the stores of a test run: in memory, where there is room."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import psutil

MEMORY = Path("/dev/shm")
# A run keeps about 1 GB there; it must never be what fills the memory of a machine.
ROOM_BYTES = 4 * 1024**3
PREFIX = "iot-tests-"
DAY = 86_400  # seconds


def new_folder(name: str = "stack") -> Path:
    """A folder that the stores' accounts can enter, also if root runs the tests."""
    parent = MEMORY if has_room() else None
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{name}-", dir=parent))
    folder.chmod(0o711)
    return folder


def has_room(memory: Path = MEMORY) -> bool:
    """Whether there is a file system in memory that we may write to, and room."""
    if not os.access(memory, os.W_OK):
        return False
    free = min(shutil.disk_usage(memory).free, psutil.virtual_memory().available)
    return bool(free > ROOM_BYTES)


def remove_leftovers(memory: Path = MEMORY) -> None:
    """Remove the folders in memory of runs that were killed, more than a day ago.

    A younger one may be of a run in a container, whose processes we do not see.
    """
    for folder in memory.glob(f"{PREFIX}*"):
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)) and _is_old(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_old(folder: Path) -> bool:
    try:
        return time.time() - folder.stat().st_mtime > DAY
    except OSError:  # another run removes it
        return False
