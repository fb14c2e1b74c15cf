"""One line a step for the person at the terminal.

A terminal shows the steps that run in one line, in place. Anything else gets plain
lines: one per finished step, and of a long step one every few seconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from typing import TextIO

EVERY_SECONDS = 10.0  # between two lines of one step, where lines cannot be replaced
TICK_SECONDS = 1.0
CLEAR = "\r\x1b[K"


class Display:
    """The lines of all steps, which may run side by side."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._lock = threading.RLock()
        self._running: list[Step] = []
        self._ticker: threading.Thread | None = None

    @property
    def is_in_place(self) -> bool:
        stream = self._stream or sys.stdout
        return stream.isatty() and os.environ.get("TERM") != "dumb"

    def say(self, text: str) -> None:
        """Print a line of its own."""
        with self._lock:
            clear = CLEAR if self.is_in_place and self._running else ""
            self._write(f"{clear}{text}\n")
            self.draw()

    def start(self, step: Step) -> None:
        with self._lock:
            self._running.append(step)
            self.draw()
            if self.is_in_place and self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, daemon=True)
                self._ticker.start()

    def end(self, step: Step, line: str) -> None:
        """Replace the step by its last line; by nothing if that is empty."""
        with self._lock:
            self._running.remove(step)
            if self.is_in_place:
                self._write(CLEAR)
            if line:
                self._write(f"{line}\n")
            self.draw()

    def draw(self) -> None:
        """Draw the steps that run again, where lines can be replaced."""
        with self._lock:
            if not self.is_in_place or not self._running:
                return
            width = shutil.get_terminal_size().columns - 1
            line = "  " + " · ".join(step.state for step in self._running)
            self._write(CLEAR + (line if len(line) <= width else line[:width]))

    def _tick(self) -> None:
        while True:
            time.sleep(TICK_SECONDS)
            with self._lock:
                if not self._running:
                    self._ticker = None
                    return
                self.draw()

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):  # stopping must not fail without a terminal
            print(text, end="", file=self._stream or sys.stdout, flush=True)


_display = Display()


def say(text: str) -> None:
    """Print one line without buffering."""
    _display.say(text)


class Step:
    """Shows a title and its progress while a step runs, then how long it took."""

    def __init__(self, title: str, display: Display | None = None) -> None:
        self._title = title
        self._display = display or _display
        self._progress = ""
        self._began = self._said_at = time.monotonic()

    @property
    def state(self) -> str:
        seconds = f"{time.monotonic() - self._began:.0f} s"
        done = f"{self._progress}, " if self._progress else ""
        return f"{self._title} … {done}{seconds}"

    def show(self, progress: str) -> None:
        """Show how far it is, for example "41 of 112"."""
        if progress == self._progress:
            return
        self._progress = progress
        now = time.monotonic()
        if self._display.is_in_place:
            self._display.draw()
        elif now - self._said_at >= EVERY_SECONDS:
            self._said_at = now
            self._display.say(f"  {self._title} … {progress}")

    def __enter__(self) -> Step:
        self._display.start(self)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        seconds = time.monotonic() - self._began
        line = f"  {self._title}: {seconds:.1f} s"
        self._display.end(self, line if kind is None else "")
