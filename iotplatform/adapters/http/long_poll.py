"""Polls that wait: one look at the table for all of them, woken by its NOTIFY.

A waiting poll holds a thread of the web and no database connection. One thread of the
process looks for them all, with one query a look, and ends when nobody waits.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator

import psycopg
from django.conf import settings
from django.db import Error, connection
from django.utils import timezone

from commands.selectors.due import devices_with_due
from commands.services.dispatch import CHANNEL
from iotplatform.adapters.http.parse_body import ADAPTER
from iotplatform.common import tenant_scope
from iotplatform.common.notify import listen

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # without a NOTIFY: commands become due by time as well
REST_SECONDS = 0.2  # between two looks, however many NOTIFYs there are


class Waiters:
    """The polls of this process that wait, by the devices they wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[threading.Event, frozenset[int]] = {}
        self._thread: threading.Thread | None = None

    @property
    def is_watching(self) -> bool:
        """Whether the thread that looks is there."""
        return self._thread is not None

    @property
    def count(self) -> int:
        """How many polls wait."""
        return len(self._waiting)

    @contextlib.contextmanager
    def place(self, device_ids: Collection[int]) -> Iterator[threading.Event | None]:
        """Lend an event that is set when one of the devices has something due.

        None where as many polls wait as may: the web has other things to do.
        """
        event = threading.Event()
        with self._lock:
            has_room = len(self._waiting) < settings.DEVICE_POLLS
            if has_room:
                self._waiting[event] = frozenset(device_ids)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._watch, daemon=True)
                    self._thread.start()
        try:
            yield event if has_room else None
        finally:
            with self._lock:
                self._waiting.pop(event, None)

    def _watch(self) -> None:
        """Look after each NOTIFY and every second, as long as somebody waits."""
        with tenant_scope.as_role(
            tenant_scope.BRIDGE
        ):  # a thread of its own begins without a scope
            self._watch_as_bridge()

    def _watch_as_bridge(self) -> None:
        while self._is_wanted():
            try:
                with contextlib.closing(listen(CHANNEL)) as listening:
                    while self._is_wanted():
                        self._look()
                        list(listening.notifies(timeout=LOOK_SECONDS, stop_after=1))
                        time.sleep(REST_SECONDS)
            except (Error, psycopg.Error) as error:
                logger.warning("the database is away from the polls: %s", error)
                time.sleep(LOOK_SECONDS)
            finally:
                connection.close()

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._waiting:
                self._thread = None
            return bool(self._waiting)

    def _look(self) -> None:
        with self._lock:
            waiting = dict(self._waiting)
        ids = frozenset[int]().union(*waiting.values())
        due = devices_with_due(ids, adapter=ADAPTER, now=timezone.now())
        connection.close()
        for event, wanted in waiting.items():
            if wanted & due:
                event.set()


waiters = Waiters()
