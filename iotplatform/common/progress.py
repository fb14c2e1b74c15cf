"""Lines that say how far a long command is, and when it will have ended."""

from __future__ import annotations

import time
from collections.abc import Callable

EVERY_SECONDS = 2.0


class Progress:
    """Says now and then how much is done, and about how long the rest takes."""

    def __init__(
        self,
        write: Callable[[str], object],
        what: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write
        self._what = what
        self._clock = clock
        self._began = self._said = clock()

    def show(self, done: int, total: int) -> None:
        """Say it, unless the last time was a moment ago."""
        now = self._clock()
        if now - self._said < EVERY_SECONDS or not 0 < done < total:
            return
        self._said = now
        left = (now - self._began) * (total - done) / done
        self._write(
            f"{done:,} of {total:,} {self._what} ({done * 100 // total} %),"
            f" about {_words(left)} left."
        )


def _words(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    return (
        f"{round(seconds / 60)} min" if seconds < 7_200 else f"{seconds / 3600:.0f} h"
    )
