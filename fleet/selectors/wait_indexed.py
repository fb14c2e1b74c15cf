"""Waits until changes that are committed already are searchable."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from iotplatform.common.waiting import lend_connection

LONGEST_WAIT_SECONDS = 10.0
CHECK_SECONDS = 0.05
EMPTIED = "SELECT emptied_outbox_id FROM fleet_indexstate WHERE id = 1"

_lock = threading.Lock()
_waiting = 0  # requests of this process; each uses a thread


def wait_until_indexed() -> bool:
    """Wait for all changes committed before this call; return whether they are in.

    It gives up after LONGEST_WAIT_SECONDS, and at once if as many requests as the
    setting API_WAITS allows wait already: the answer then tells the lag.
    """
    last = _last_change()
    if last is None:
        return True
    with _room() as has_room:
        deadline = time.monotonic() + (LONGEST_WAIT_SECONDS if has_room else 0)
        while _waits(last):
            if time.monotonic() >= deadline:
                return False
            lend_connection()
            time.sleep(CHECK_SECONDS)
    return True


@contextmanager
def _room() -> Iterator[bool]:
    """Count a request that waits; yield whether it may."""
    global _waiting
    with _lock:
        has_room = _waiting < settings.API_WAITS
        _waiting += has_room
    try:
        yield has_room
    finally:
        with _lock:
            _waiting -= has_room


def _last_change() -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT max(id) FROM fleet_outbox WHERE id > coalesce(({EMPTIED}), 0)"
        )
        (last,) = cursor.fetchone()
        return None if last is None else int(last)


def _waits(last: int) -> bool:
    """Whether a change up to this one is not indexed: indexed ones are deleted."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM fleet_outbox WHERE id <= %s"
            f" AND id > coalesce(({EMPTIED}), 0))",
            [last],
        )
        (waits,) = cursor.fetchone()
        return bool(waits)
