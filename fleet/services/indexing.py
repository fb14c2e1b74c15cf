"""Keeps the index equal to the database: drain the outbox, rebuild, swap.

One process does this, under a session advisory lock. Changes are indexed at least once:
a batch is read, its documents are built from the current rows, the index is committed,
and only then are the batch's rows deleted from the outbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from fleet.backends.choice import engine_at
from fleet.backends.engine import IndexBusy, IndexFault, Turn, Writer
from fleet.documents import (
    build_documents,
    count_devices,
    device_id_chunks,
    documents_of,
    reading,
)
from fleet.models import IndexState
from fleet.services.outbox import OutboxReader, delete_outbox_rows

logger = logging.getLogger(__name__)

INDEXER_LOCK = 0x666C656574  # "fleet"; session advisory lock of the only writer
# Rows of one batch. A commit costs about 90 ms however small it is, and 2,000 changed
# documents about 300 ms, so a burst is searchable within the promised 2 s.
BATCH = 2_000
# Of singles after a full batch, when more are waiting: many changes of one device in
# one batch cost one document.
BACKLOG_BATCH = 10_000
# A running indexer talks to the database every second.
STILL_SECONDS = 5
LEASE = """
    SELECT set_config('idle_session_timeout', %s, false),
        set_config('idle_in_transaction_session_timeout', %s, false)
"""
LAST = 2**63  # beyond every device
# Devices that a rebuild indexes between two drains of the outbox. The database must
# hear from us meanwhile, on a busy machine, too.
CHUNK = 2_000


@contextmanager
def writer_lock() -> Iterator[bool]:
    """Try to take the lock of the index writer; yield whether it was free.

    PostgreSQL releases the lock when the connection ends, too, and it ends a connection
    that is silent for too long: that of a process that is stopped, but not dead.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [INDEXER_LOCK])
        (is_owner,) = cursor.fetchone()
        if is_owner:
            cursor.execute(LEASE, [f"{STILL_SECONDS * 1000:.0f}ms"] * 2)
    try:
        with _awake() if is_owner else nullcontext():
            yield is_owner
    finally:
        if is_owner and connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute(LEASE, ["0", "0"])
                cursor.execute("SELECT pg_advisory_unlock(%s)", [INDEXER_LOCK])


@contextmanager
def _awake() -> Iterator[None]:
    """Go on talking to the database while long work keeps this thread from it.

    A process that is stopped says nothing; one that waits for its turn at a processor
    does.
    """
    session = connection.connection
    done = threading.Event()

    def talk() -> None:
        while not done.wait(STILL_SECONDS / 5):
            # Below Django and psycopg, which might begin a transaction for it.
            with session.lock, suppress(psycopg.Error):  # this thread needs no answer
                session.pgconn.exec_(b"SELECT 1")

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def begin_turn() -> Turn:
    """Raise the epoch: earlier indexers write nothing more; return our turn."""
    IndexState.objects.get_or_create(pk=1)
    with transaction.atomic():
        IndexState.objects.filter(pk=1).update(epoch=F("epoch") + 1)
        epoch = IndexState.objects.values_list("epoch", flat=True).get(pk=1)

    def check() -> None:
        # On the session that owns the lock: if that has ended, so has our turn.
        if not IndexState.objects.filter(pk=1, epoch=epoch).exists():
            raise IndexFault("another indexer has begun; this one writes nothing more")

    return Turn(epoch, check)


def request_rebuild() -> datetime:
    """Ask the indexer process for a new generation; return the time of the request."""
    now = timezone.now()
    IndexState.objects.update_or_create(pk=1, defaults={"rebuild_requested_at": now})
    return now


class Stopped(Exception):
    """A rebuild was stopped."""


class Indexer:
    """The only writer of the index; use it only while you own ``writer_lock``."""

    def __init__(
        self,
        root: Path,
        stop: threading.Event | None = None,
        *,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.engine = engine_at(root)
        self._stop = stop or threading.Event()
        self._current: Writer | None = None
        self._next: Writer | None = None
        self._outbox = OutboxReader()
        self._is_behind = False
        self._turn = Turn()
        self._tell = report
        # Of a rebuild: the last device that is read, and what was drained since then.
        self._built_to = LAST
        self._drained: set[int] = set()
        # The generation that is searched, though it is not ours to write: it is of an
        # older version, of another engine, or on another machine.
        self._searched = ""

    def open(self) -> None:
        """Open the current generation; build one if it is missing or broken."""
        self._turn = begin_turn()
        generation = self.engine.current_generation()
        named = IndexState.objects.values_list("generation", flat=True).get(pk=1)
        if generation is not None and generation == named:
            try:
                self._current = self._writer_of(generation)
            except IndexFault as fault:
                logger.warning("the index is broken and will be rebuilt: %s", fault)
        else:
            self._searched = named
        self._turn.check()
        ours = self._current.generation if self._current else None
        self.engine.drop_others(named, ours)
        if self._current is None:
            self.rebuild()

    def _writer_of(self, generation: str) -> Writer:
        try:
            return self.engine.writer(generation, self._turn)
        except IndexBusy:
            # Its last writer has lost the lock in the database, but keeps the files
            # locked: it is stopped, or has not noticed yet.
            adopted = self.engine.adopt(generation)
            writer = self.engine.writer(adopted, self._turn)
            self._point_to(adopted)
            return writer

    def _point_to(self, generation: str, **values: Any) -> None:
        self._turn.check()
        self.engine.swap_to(generation)
        ours = IndexState.objects.filter(pk=1, epoch=self._turn.epoch)
        if not ours.update(generation=generation, **values):
            self._turn.check()

    def close(self) -> None:
        """Release the writer; uncommitted changes are still in the outbox."""
        for writer in (self._current, self._next):
            if writer is not None:
                _close(writer)
        self._current = self._next = None

    def drain(self) -> bool:
        """Index one batch of the outbox; return whether more may be waiting."""
        waiting = self._outbox.read(
            limit=BATCH, backlog=BACKLOG_BATCH if self._is_behind else None
        )
        if waiting.ids:
            self.index_devices(waiting.devices)
            delete_outbox_rows(waiting.ids)
        self._outbox.tell()
        self._is_behind = waiting.is_full
        return waiting.is_full

    def index_devices(self, device_ids: list[int]) -> None:
        """Index these devices from the database, remove deleted ones, and commit."""
        documents = build_documents(device_ids)
        gone = set(device_ids) - {document.device_id for document in documents}
        if self._next is not None:
            # Not committed: nobody searches it yet. The rebuild reads what is beyond.
            self._next.put(d for d in documents if d.device_id <= self._built_to)
            self._next.remove(gone)
            self._drained.update(device_ids)
        if self._current is not None:
            self._current.put(documents)
            self._current.remove(gone)
            self._current.commit()

    def rebuild_if_requested(self) -> bool:
        """Rebuild if it was requested since the last rebuild; return whether it was."""
        state = IndexState.objects.filter(pk=1).first()
        if state is None or state.rebuild_requested_at is None:
            return False
        self.rebuild()
        return True

    def rebuild(self, report: Callable[[int], None] = lambda done: None) -> int:
        """Build a new generation and swap to it; return the number of its documents.

        Meanwhile the outbox is drained into both generations, so searches stay fresh
        and the new generation misses no change. An old generation that we cannot write
        gets older: then the outbox is kept until the swap, and so the lag shows it.
        Raises Stopped when the stop event is set; the old generation then stays the
        current one.
        """
        started_at = timezone.now()
        if self._current is None and not self._searched:
            self._clear_outbox()
        expected = count_devices()
        self._report(0, expected)
        name = self.engine.new_generation()
        try:
            self._next = self.engine.writer(name, self._turn, create=True)
            total = self._fill(expected, report)
            while self._drain_into_both():
                self._check_stop()
            self._next.commit()
        except BaseException:
            self._next = None  # dropping the object frees its lock
            self.engine.drop(name)
            raise
        self._swap(started_at, total)
        while self.drain():  # what the outbox kept
            self._check_stop()
        return total

    def _fill(self, expected: int, report: Callable[[int], None]) -> int:
        """Put all devices into the new generation, and return how many.

        The database reads the next chunk while we put this one. A device that was
        drained since its chunk was read is in the new generation already, and newer.
        """
        total = 0
        self._built_to = LAST
        self._drained.clear()
        chunks = device_id_chunks(CHUNK)
        ids = next(chunks, [])
        with reading(ids) as wait:
            rows = wait()
        while ids:
            following = next(chunks, [])
            self._built_to = following[-1] if following else LAST
            with reading(following) as wait:
                documents = documents_of(rows)
                assert self._next is not None
                # No name of its own: a failure's traceback would keep the writer alive.
                self._next.put_new(
                    d for d in documents if d.device_id not in self._drained
                )
                rows = wait()
            total += len(documents)
            self._report(total, expected)
            report(total)
            self._drained.clear()
            self._drain_into_both()
            self._check_stop()
            ids = following
        return total

    def _report(self, done: int, total: int) -> None:
        """Tell how far the rebuild is; raises IndexFault when our turn is over."""
        ours = IndexState.objects.filter(pk=1, epoch=self._turn.epoch)
        if not ours.update(rebuild_done=done, rebuild_total=total):
            self._turn.check()
        self._tell(done, total)

    def _drain_into_both(self) -> bool:
        if not self._searched:
            return self.drain()
        return False

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _clear_outbox(self) -> None:
        """Empty the outbox before a first build, which reads all devices anyway.

        The pointer is removed first: if the process ends here, the next one builds.
        """
        self.engine.clear_current()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM fleet_outbox")

    def _swap(self, started_at: datetime, total: int) -> None:
        assert self._next is not None
        name = self._next.generation
        self._point_to(name, documents=total, rebuilt_at=timezone.now())
        before, self._current, self._next = self._current, self._next, None
        # A request that came during this rebuild stays: it is about newer data.
        IndexState.objects.filter(pk=1, rebuild_requested_at__lte=started_at).update(
            rebuild_requested_at=None
        )
        old = before.generation if before else self._searched
        if before is not None:
            self._close_slowly(before)
        self._searched = ""
        self.engine.drop_others(name, old)
        logger.info("the index was built: %d documents", total)

    def _close_slowly(self, writer: Writer) -> None:
        """Close a writer, which may take long, and go on showing that we work."""
        closing = threading.Thread(target=_close, args=(writer,))
        closing.start()
        while closing.is_alive():
            closing.join(1.0)
            self._turn.check()


def _close(writer: Writer) -> None:
    try:
        writer.close()
    except IndexFault as fault:
        logger.warning("closing the index: %s", fault)
