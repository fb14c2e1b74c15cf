"""Comparing the index with the truth, and having it mended."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

from fleet.backends.tantivy_index import Reader, faults
from fleet.backends.tantivy_search import indexed_device_ids, stored_documents
from fleet.documents import build_documents, device_id_chunks
from fleet.models import Outbox
from fleet.selectors.lag import current_reader
from fleet.services.indexing import Indexer, touch_devices, writer_lock

CHUNK = 2_000
POLL_SECONDS = 0.2


@dataclass
class Differences:
    """Device ids whose document is not what the truth says."""

    devices: int = 0
    missing: list[int] = field(default_factory=list)  # in the truth only
    stale: list[int] = field(default_factory=list)  # in both, and not the same
    extra: list[int] = field(default_factory=list)  # in the index only

    @property
    def device_ids(self) -> list[int]:
        """All of them."""
        return sorted({*self.missing, *self.stale, *self.extra})


def verify_index(*, settle_seconds: float = 10.0) -> Differences:
    """Compare every document with the truth; raises IndexUnavailable.

    What changes meanwhile is on its way through the outbox, so what differs is looked
    at again until nothing of it is waiting there, for ``settle_seconds`` at most.
    """
    found = _compare_all()
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
    """Have the differing documents built again, by whoever holds the writer."""
    touch_devices(found.device_ids)
    with writer_lock() as held:
        if held:
            indexer.open()
            try:
                while indexer.drain():
                    pass
            finally:
                indexer.close()


def _compare_all() -> Differences:
    reader = current_reader()
    found = Differences()
    seen: set[int] = set()
    for ids in device_id_chunks(CHUNK):
        part = _compare(reader, ids)
        found.missing += part.missing
        found.stale += part.stale
        found.extra += part.extra
        seen.update(ids)
    found.devices = len(seen)
    with faults():
        found.extra += sorted(set(indexed_device_ids(reader)) - seen)
    return found


def _compare(reader: Reader, device_ids: list[int]) -> Differences:
    """Compare these devices only."""
    with faults():
        indexed = stored_documents(reader, device_ids)
    found = Differences()
    truth = {document.device_id: document for document in build_documents(device_ids)}
    for device_id in device_ids:
        held, said = indexed.get(device_id), truth.get(device_id)
        if said is None:
            if held is not None:
                found.extra.append(device_id)
        elif held is None:
            found.missing.append(device_id)
        elif held != [json.loads(said.encoded())]:
            found.stale.append(device_id)  # two documents of one device, too
    return found
