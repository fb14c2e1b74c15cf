"""Beat's scheduler: of several beats one sends, the others wait as spares."""

from __future__ import annotations

from typing import Any

from celery.beat import Scheduler
from django.db import Error, connection

BEAT_LOCK = 0x62656174  # "beat"; session advisory lock of the one that sends
SPARE_LOOKS_EVERY = 1.0  # seconds


class OnlyOneSends(Scheduler):  # type: ignore[misc]
    """Sends tasks while this process has the lock.

    The lock ends with its session, so a spare takes over within seconds. Without the
    database no task could do anything, so nothing is sent then.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._has_lock = False
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send what is due, or look for the lock; return the seconds until the next."""
        if not self._may_send():
            return SPARE_LOOKS_EVERY
        return float(super().tick(*args, **kwargs))

    def close(self) -> None:
        super().close()
        connection.close()

    def _may_send(self) -> bool:
        ask = "SELECT true" if self._has_lock else "SELECT pg_try_advisory_lock(%s)"
        try:
            with connection.cursor() as cursor:
                cursor.execute(ask, None if self._has_lock else [BEAT_LOCK])
                (self._has_lock,) = cursor.fetchone()
        except Error:
            self._has_lock = False
            connection.close()
        return self._has_lock
