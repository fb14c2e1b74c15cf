"""Wait for a condition instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds after which a test calls something hung. A test that passes does not wait
# them out, so they fit a machine that is ten times slower than ours.
PATIENCE = 120.0


def wait_until(
    holds: Callable[[], T | None],
    *,
    seconds: float = PATIENCE,
    what: str = "",
    every: float = 0.05,
) -> T:
    """Return the first true answer; raise AssertionError with ``what`` otherwise."""
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what or holds}")
        time.sleep(every)
