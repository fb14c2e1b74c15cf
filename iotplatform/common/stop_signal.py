"""Stop a process by SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import threading
from types import FrameType


def stop_event() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set.

    SIGINT too: it is ignored in a job that a shell started with `&`.
    """
    event = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return event
