"""Waiting requests: one query checks for all of them, triggered by a NOTIFY.

A waiting request uses no database connection: only a thread of the web process, or, in
a process with an event loop, nothing but memory. One thread of the process checks for
all requests that wait for the same kind of news, with one query each time. It ends when
no request waits.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator
from time import monotonic
from typing import Generic, Protocol, TypeVar

import psycopg
from django.conf import settings
from django.db import Error, connection

from iotplatform.common import tenant_scope
from iotplatform.common.notify import listen

logger = logging.getLogger(__name__)

Key = TypeVar("Key")
LONGEST_WAIT_SECONDS = 60
CHECK_SECONDS = 1.0  # check also without a NOTIFY: time alone changes things as well
REST_SECONDS = 0.2  # between two checks, however many NOTIFYs arrive


class Signal(Protocol):
    """What wakes a waiting request; the checking thread sets it."""

    def set(self) -> None:
        """Wake the request."""


class Waiters(Generic[Key]):
    """The waiting requests of this process, with what each of them waits for."""

    def __init__(
        self,
        *,
        channel: str,
        find_ready: Callable[[frozenset[Key]], Collection[Key]],
        limit: str,
    ) -> None:
        """``find_ready`` returns those of the keys that need to wait no longer.

        ``limit`` names the setting that says how many requests may wait.
        """
        self._channel = channel
        self._find_ready = find_ready
        self._limit = limit
        self._lock = threading.Lock()
        self._waiting: dict[Signal, frozenset[Key]] = {}  # in order of arrival
        self._thread: threading.Thread | None = None

    @property
    def is_watching(self) -> bool:
        """Whether the checking thread runs."""
        return self._thread is not None

    @property
    def count(self) -> int:
        return len(self._waiting)

    @contextlib.contextmanager
    def register(self, keys: Collection[Key]) -> Iterator[threading.Event | None]:
        """Register a request; yield an event that is set when one of its keys is ready.

        Yields None when as many as the setting allows wait already: the web process
        needs its other threads.
        """
        event = threading.Event()
        has_room = self.add(event, keys)
        try:
            yield event if has_room else None
        finally:
            self.remove(event)

    def add(self, signal: Signal, keys: Collection[Key]) -> bool:
        """Set ``signal`` each time that one of the keys is ready, until ``remove``.

        Return False when as many as the setting allows wait already.
        """
        with self._lock:
            has_room = len(self._waiting) < getattr(settings, self._limit)
            if has_room:
                self._waiting[signal] = frozenset(keys)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._watch, daemon=True)
                    self._thread.start()
        return bool(has_room)

    def remove(self, signal: Signal) -> None:
        with self._lock:
            self._waiting.pop(signal, None)

    def wait(self, key: Key, *, seconds: float) -> None:
        """Return when the key is ready, the time is over, or too many wait already."""
        deadline = monotonic() + seconds
        with self.register([key]) as event:
            if event is not None:
                lend_connection()
                event.wait(max(deadline - monotonic(), 0))

    def _watch(self) -> None:
        """Check after each NOTIFY and every second, for as long as a request waits."""
        # A new thread starts without a scope.
        with tenant_scope.as_role(tenant_scope.BRIDGE):
            self._watch_as_bridge()

    def _watch_as_bridge(self) -> None:
        while self._is_wanted():
            try:
                with contextlib.closing(listen(self._channel)) as listening:
                    while self._is_wanted():
                        self._check()
                        list(listening.notifies(timeout=CHECK_SECONDS, stop_after=1))
                        time.sleep(REST_SECONDS)
            except (Error, psycopg.Error) as error:
                logger.warning("cannot check for waiting requests: %s", error)
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
        wanted = frozenset[Key]().union(*waiting.values())
        ready = frozenset(self._find_ready(wanted))
        connection.close()
        if ready:
            for signal, keys in waiting.items():
                if not keys.isdisjoint(ready):
                    signal.set()


def lend_connection() -> None:
    """Close the database connection while the request waits."""
    if not connection.in_atomic_block:
        connection.close()
