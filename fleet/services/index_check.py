"""Compares the index with the database, and repairs it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.backends.engine import Reader
from fleet.documents import build_documents, count_devices, device_id_chunks
from fleet.models import Outbox
from fleet.selectors.lag import current_reader
from fleet.services.indexing import Indexer, writer_lock
from fleet.services.outbox import queue_devices

CHUNK = 2_000
POLL_SECONDS = 0.2


@dataclass
class Differences:
    """Ids of devices whose indexed document differs from the database."""

    devices: int = 0
    missing: list[int] = field(default_factory=list)  # in the database only
    stale: list[int] = field(default_factory=list)  # in both, but different
    extra: list[int] = field(default_factory=list)  # in the index only

    @property
    def device_ids(self) -> list[int]:
        return sorted({*self.missing, *self.stale, *self.extra})


def verify_index(
    *,
    settle_seconds: float = 10.0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Differences:
    """Compare every document with the database; raises IndexUnavailable, IndexFault.

    A change made meanwhile is still in the outbox. So the documents that differ are
    compared again until the outbox has none of their devices, for ``settle_seconds`` at
    most.
    """
    found = _compare_all(report)
    deadline = time.monotonic() + settle_seconds
    while found.device_ids:
        in_flight = Outbox.objects.filter(device_id__in=found.device_ids).exists()
        total = found.devices
        found = _compare(current_reader(), found.device_ids)
        found.devices = total
        if not in_flight or time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    return found


def repair_index(found: Differences, indexer: Indexer) -> None:
    """Queue the differing documents; index them here if no indexer is running."""
    queue_devices(found.device_ids)
    with writer_lock() as is_owner:
        if is_owner:
            indexer.open()
            try:
                while indexer.drain():
                    pass
            finally:
                indexer.close()


def _compare_all(report: Callable[[int, int], None]) -> Differences:
    reader = current_reader()
    total = count_devices()
    found = Differences()
    seen: set[int] = set()
    for ids in device_id_chunks(CHUNK):
        part = _compare(reader, ids)
        found.missing += part.missing
        found.stale += part.stale
        found.extra += part.extra
        seen.update(ids)
        report(len(seen), total)
    found.devices = len(seen)
    found.extra += sorted(set(reader.device_ids()) - seen)
    return found


def _compare(reader: Reader, device_ids: list[int]) -> Differences:
    indexed = reader.stored_documents(device_ids)
    found = Differences()
    documents = {row.device_id: row for row in build_documents(device_ids)}
    for device_id in device_ids:
        stored, expected = indexed.get(device_id), documents.get(device_id)
        if expected is None:
            if stored is not None:
                found.extra.append(device_id)
        elif stored is None:
            found.missing.append(device_id)
        elif stored != [json.loads(expected.encoded())]:
            found.stale.append(device_id)  # also when a device has two documents
    return found
