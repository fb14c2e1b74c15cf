"""Keeping the embedded index equal to the truth: drain the outbox, rebuild, swap.

One process does this, under a session advisory lock. Changes are indexed at least once:
a batch is read, its documents are built from the truth as it is then, the index is
committed, and only then do the batch's rows leave the outbox.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.db import connection, transaction
from django.utils import timezone

from fleet.backends import generations
from fleet.backends.tantivy_index import IndexFault, Writer
from fleet.documents import build_documents, device_id_chunks
from fleet.models import IndexState, Outbox

logger = logging.getLogger(__name__)

INDEXER_LOCK = 0x666C656574  # "fleet"; session advisory lock of the one writer
# Devices of one batch: a commit costs about 90 ms whatever it holds, and 2,000 changed
# documents about 300 ms, so a burst is searchable within the 2 s that are promised.
BATCH = 2_000
# When a batch came full, more waits: of many changes of one device the last one counts.
BACKLOG_BATCH = 10_000
CHUNK = 5_000  # devices that a rebuild builds between two looks at the outbox


@contextmanager
def writer_lock() -> Iterator[bool]:
    """Try for the right to write the index; the connection's end gives it back."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [INDEXER_LOCK])
        (held,) = cursor.fetchone()
    try:
        yield held
    finally:
        if held and connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [INDEXER_LOCK])


def request_rebuild() -> datetime:
    """Ask whoever holds the writer for a new generation; return when that was."""
    now = timezone.now()
    IndexState.objects.update_or_create(pk=1, defaults={"rebuild_requested_at": now})
    return now


def touch_devices(device_ids: list[int]) -> None:
    """Put devices into the outbox, so that their documents are built again."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO fleet_outbox (device_id, at)"
            " SELECT id, clock_timestamp() FROM unnest(%s::bigint[]) id",
            [device_ids],
        )


class Stopped(Exception):
    """A rebuild was told to stop."""


class Indexer:
    """The one writer; to be used while ``writer_lock`` is held."""

    def __init__(self, root: Path, stop: threading.Event | None = None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self._stop = stop or threading.Event()
        self._current: Writer | None = None
        self._next: Writer | None = None
        self._batch = BATCH

    def open(self) -> None:
        """Open the current generation; build one when there is none that works."""
        generation = generations.current_generation(self.root)
        if not IndexState.objects.filter(pk=1, generation=generation).exists():
            generation = None  # of another database, or of one that was restored
        generations.drop_others(self.root, generation)
        if generation is not None:
            try:
                self._current = Writer(self.root, generation)
            except IndexFault as fault:
                if "LockBusy" in str(fault):
                    raise  # its writer has not gone yet; nothing is broken
                logger.warning("the index is broken and is built again: %s", fault)
        if self._current is None:
            self.rebuild()

    def close(self) -> None:
        """Give the writer back; what was not committed is still in the outbox."""
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
                ids = _waiting_for(devices)
            self.index_devices(devices)
            settle(ids, last=rows[-1][0])
        self._batch = BACKLOG_BATCH if is_full else BATCH
        return is_full

    def index_devices(self, device_ids: list[int]) -> None:
        """Make the index say of these devices what the truth says, and commit."""
        documents = build_documents(device_ids)
        gone = set(device_ids) - {document.device_id for document in documents}
        for writer in (self._current, self._next):
            if writer is not None:
                writer.put(documents)
                writer.remove(gone)
                writer.commit()

    def rebuild_if_requested(self) -> bool:
        """Rebuild when somebody asked since the last rebuild."""
        state = IndexState.objects.filter(pk=1).first()
        if state is None or state.rebuild_requested_at is None:
            return False
        self.rebuild()
        return True

    def rebuild(self, report: Callable[[int], None] = lambda done: None) -> int:
        """Build a generation beside the current one and swap; return its documents.

        The outbox is drained into both in between, so that searches stay as fresh as
        ever and the new generation misses nothing that changed while it was built.
        Raises Stopped when told to stop; the old generation stays the current one.
        """
        started_at = timezone.now()
        if self._current is None:
            self._forget_what_waits()
        name = generations.new_generation(self.root)
        total = 0
        try:
            self._next = Writer(self.root, name, create=True)
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
            self._next = None  # its lock goes with the object
            shutil.rmtree(self.root / name, ignore_errors=True)
            raise
        self._swap(started_at, total)
        return total

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Stopped

    def _forget_what_waits(self) -> None:
        """Empty the outbox before a first build, which reads everything anyway.

        The pointer goes first: should this end half-way, the next one builds again.
        """
        generations.forget_current(self.root)
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM fleet_outbox")

    def _swap(self, started_at: datetime, total: int) -> None:
        assert self._next is not None
        before, self._current, self._next = self._current, self._next, None
        generations.swap_to(self.root, self._current.generation)
        state, _ = IndexState.objects.update_or_create(
            pk=1,
            defaults={
                "generation": self._current.generation,
                "documents": total,
                "rebuilt_at": timezone.now(),
            },
        )
        # A request that came while this was under way is about newer data.
        IndexState.objects.filter(pk=1, rebuild_requested_at__lte=started_at).update(
            rebuild_requested_at=None
        )
        if before is not None:
            before.close()
        old = before.generation if before else None
        generations.drop_others(self.root, state.generation, old)
        logger.info("the index was built: %d documents", total)


def _waiting_for(device_ids: list[int]) -> list[int]:
    """Return every row of these devices: changes of whole fleets leave several each."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM fleet_outbox WHERE device_id = ANY(%s)", [device_ids]
        )
        return [pk for (pk,) in cursor.fetchall()]


@transaction.atomic
def settle(outbox_ids: list[int], *, last: int) -> None:
    """Take rows out of the outbox, now that the index holds what they announced."""
    with connection.cursor() as cursor:
        # By id, not "up to": a lower id may belong to a transaction still running.
        cursor.execute("DELETE FROM fleet_outbox WHERE id = ANY(%s)", [outbox_ids])
    IndexState.objects.update_or_create(
        pk=1, defaults={"drained_outbox_id": last, "drained_at": timezone.now()}
    )
