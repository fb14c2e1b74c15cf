"""Waiting polls: one query checks for all of them, triggered by a NOTIFY.

A waiting poll uses a thread of the web process and no database connection. One thread
of the process checks for all polls, with one query each time. It ends when no poll
waits.
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
from commands.services.adapter_wakeup import COMMANDS_DUE
from iotplatform.adapters.http.parse_body import ADAPTER
from iotplatform.common import tenant_scope
from iotplatform.common.notify import listen

logger = logging.getLogger(__name__)

CHECK_SECONDS = 1.0  # check also without a NOTIFY: commands become due by time as well
REST_SECONDS = 0.2  # between two checks, however many NOTIFYs arrive


class Waiters:
    """The waiting polls of this process, with the devices they wait for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[threading.Event, frozenset[int]] = {}
        self._thread: threading.Thread | None = None

    @property
    def is_watching(self) -> bool:
        """Whether the checking thread runs."""
        return self._thread is not None

    @property
    def count(self) -> int:
        return len(self._waiting)

    @contextlib.contextmanager
    def register(self, device_ids: Collection[int]) -> Iterator[threading.Event | None]:
        """Register a poll; yield an event that is set when a device has a due command.

        Yields None when ``DEVICE_POLLS`` polls wait already: the web process needs its
        other threads.
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
        """Check after each NOTIFY and every second, for as long as a poll waits."""
        # A new thread starts without a scope.
        with tenant_scope.as_role(tenant_scope.BRIDGE):
            self._watch_as_bridge()

    def _watch_as_bridge(self) -> None:
        while self._is_wanted():
            try:
                with contextlib.closing(listen(COMMANDS_DUE)) as listening:
                    while self._is_wanted():
                        self._check()
                        list(listening.notifies(timeout=CHECK_SECONDS, stop_after=1))
                        time.sleep(REST_SECONDS)
            except (Error, psycopg.Error) as error:
                logger.warning("cannot check for waiting polls: %s", error)
                time.sleep(CHECK_SECONDS)
            finally:
                connection.close()

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._waiting:
                self._thread = None
            return bool(self._waiting)

    def _check(self) -> None:
        with self._lock:
            waiting = dict(self._waiting)
        ids = frozenset[int]().union(*waiting.values())
        due = devices_with_due(ids, adapter=ADAPTER, now=timezone.now())
        connection.close()
        for event, wanted in waiting.items():
            if wanted & due:
                event.set()


waiters = Waiters()
