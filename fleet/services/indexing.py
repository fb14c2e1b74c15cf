"""Keeps the index equal to the database: drain the outbox, rebuild, swap.

One process does this, under a session advisory lock. Changes are indexed at least once:
a batch is read, its documents are built from the current rows, the index is committed,
and only then are the batch's rows deleted from the outbox.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from fleet.backends.choice import engine_at
from fleet.backends.engine import IndexFault, Writer
from fleet.documents import build_documents, device_id_chunks
from fleet.models import IndexState, Outbox

logger = logging.getLogger(__name__)

INDEXER_LOCK = 0x666C656574  # "fleet"; session advisory lock of the only writer
# Rows of one batch. A commit costs about 90 ms however small it is, and 2,000 changed
# documents about 300 ms, so a burst is searchable within the promised 2 s.
BATCH = 2_000
# The size after a full batch, when more is waiting: many changes of one device in one
# batch cost one document.
BACKLOG_BATCH = 10_000
CHUNK = 5_000  # devices that a rebuild indexes between two drains of the outbox


@contextmanager
def writer_lock() -> Iterator[bool]:
    """Try to take the lock of the index writer; yield whether it was free.

    PostgreSQL releases the lock when the connection ends, too.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [INDEXER_LOCK])
        (is_owner,) = cursor.fetchone()
    try:
        yield is_owner
    finally:
        if is_owner and connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [INDEXER_LOCK])


def request_rebuild() -> datetime:
    """Ask the indexer process for a new generation; return the time of the request."""
    now = timezone.now()
    IndexState.objects.update_or_create(pk=1, defaults={"rebuild_requested_at": now})
    return now


def queue_devices(device_ids: list[int]) -> None:
    """Put devices into the outbox, so that their documents are built again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_outbox (device_id, at)"
            " SELECT id, clock_timestamp() FROM unnest(%s::bigint[]) id",
            [device_ids],
        )


class Stopped(Exception):
    """A rebuild was stopped."""


class Indexer:
    """The only writer of the index; use it only while you own ``writer_lock``."""

    def __init__(self, root: Path, stop: threading.Event | None = None) -> None:
        self.engine = engine_at(root)
        self._stop = stop or threading.Event()
        self._current: Writer | None = None
        self._next: Writer | None = None
        self._batch = BATCH

    def open(self) -> None:
        """Open the current generation; build one if it is missing or broken."""
        generation = self.engine.current_generation()
        if not IndexState.objects.filter(pk=1, generation=generation).exists():
            generation = None  # it belongs to another or a restored database
        self.engine.drop_others(generation)
        if generation is not None:
            try:
                self._current = self.engine.writer(generation)
            except IndexFault as fault:
                if "LockBusy" in str(fault):
                    raise  # its last writer has not closed yet; it is not broken
                logger.warning("the index is broken and will be rebuilt: %s", fault)
        if self._current is None:
            self.rebuild()

    def close(self) -> None:
        """Release the writer; uncommitted changes are still in the outbox."""
        for writer in (self._current, self._next):
            if writer is not None:
                try:
                    writer.close()
                except IndexFault as fault:
                    logger.warning("closing the index: %s", fault)
        self._current = self._next = None

    def drain(self) -> bool:
        """Index one batch of the outbox; return whether more may be waiting."""
        waiting = Outbox.objects.order_by("pk").values_list("pk", "device_id")
        rows = list(waiting[: self._batch])
        is_full = len(rows) == self._batch
        if rows:
            devices = sorted({device_id for _, device_id in rows})
            ids = [pk for pk, _ in rows]
            if self._batch > BATCH:
                # Read before their documents are built, so these changes are in them.
                ids = _outbox_ids_of(devices)
            self.index_devices(devices)
            delete_outbox_rows(ids, last=rows[-1][0])
        self._batch = BACKLOG_BATCH if is_full else BATCH
        return is_full

    def index_devices(self, device_ids: list[int]) -> None:
        """Index these devices from the database, remove deleted ones, and commit."""
        documents = build_documents(device_ids)
        gone = set(device_ids) - {document.device_id for document in documents}
        for writer in (self._current, self._next):
            if writer is not None:
                writer.put(documents)
                writer.remove(gone)
                writer.commit()

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
        and the new generation misses no change. Raises Stopped when the stop event is
        set; the old generation then stays the current one.
        """
        started_at = timezone.now()
        if self._current is None:
            self._clear_outbox()
        name = self.engine.new_generation()
        total = 0
        try:
            self._next = self.engine.writer(name, create=True)
            for ids in device_id_chunks(CHUNK):
                documents = build_documents(ids)
                self._next.put(documents)
                total += len(documents)
                report(total)
                self.drain()
                self._check_stop()
            while self.drain():
                self._check_stop()
            self._next.commit()
        except BaseException:
            self._next = None  # dropping the object frees its lock
            self.engine.drop(name)
            raise
        self._swap(started_at, total)
        return total

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
        before, self._current, self._next = self._current, self._next, None
        self.engine.swap_to(self._current.generation)
        state, _ = IndexState.objects.update_or_create(
            pk=1,
            defaults={
                "generation": self._current.generation,
                "documents": total,
                "rebuilt_at": timezone.now(),
            },
        )
        # A request that came during this rebuild stays: it is about newer data.
        IndexState.objects.filter(pk=1, rebuild_requested_at__lte=started_at).update(
            rebuild_requested_at=None
        )
        if before is not None:
            before.close()
        old = before.generation if before else None
        self.engine.drop_others(state.generation, old)
        logger.info("the index was built: %d documents", total)


def _outbox_ids_of(device_ids: list[int]) -> list[int]:
    """Return all outbox rows of these devices; after many changes each has several."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM fleet_outbox WHERE device_id = ANY(%s)", [device_ids]
        )
        return [pk for (pk,) in cursor.fetchall()]


@transaction.atomic
def delete_outbox_rows(outbox_ids: list[int], *, last: int) -> None:
    """Delete outbox rows whose changes are in the index now; record the progress."""
    with connection.cursor() as cursor:
        # By id, not "up to an id": a running transaction may own a lower id.
        cursor.execute("DELETE FROM fleet_outbox WHERE id = ANY(%s)", [outbox_ids])
    IndexState.objects.update_or_create(
        pk=1, defaults={"drained_outbox_id": last, "drained_at": timezone.now()}
    )
