"""Detect that the `make` that started us was told to stop, and only waits for us."""

from __future__ import annotations

import os
import signal

import psutil


class ParentWatch:
    """Whether the `make` that started us was told to stop, or has ended.

    A SIGINT sent only to `make` does not reach us. `make` blocks SIGINT in its handler
    and waits for us to end, which its signal mask shows (Linux).
    """

    def __init__(self) -> None:
        self._pid = os.getppid()
        self._is_make = False
        try:
            name = psutil.Process(self._pid).name()
            self._is_make = name in ("make", "gmake")
        except psutil.Error:
            pass

    def is_stopping(self) -> bool:
        if not self._is_make:
            return False
        if os.getppid() != self._pid:
            return True
        return _blocks(self._pid, signal.SIGINT)


def _blocks(pid: int, number: signal.Signals) -> bool:
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("SigBlk:"):
                    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    except OSError:
        pass
    return False
