"""The embedded index: one writer, readers in every process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import tantivy

from fleet.backends import generations
from fleet.backends.columns import DEVICE_ID
from fleet.backends.documents import FleetDocument
from fleet.backends.engine import IndexBusy, IndexFault, Turn
from fleet.backends.kept_answers import KeptAnswers
from fleet.backends.tantivy_document import add_to, to_text
from fleet.backends.tantivy_schema import build_schema
from fleet.exceptions import IndexElsewhere, IndexUnavailable

logger = logging.getLogger(__name__)

# Enough for a batch of the outbox without a flush; the memory is allocated once.
WRITER_HEAP_BYTES = 64_000_000
META = "meta.json"


@contextmanager
def faults() -> Iterator[None]:
    """Turn every error of tantivy, panics included, into an IndexFault."""
    try:
        yield
    except (ValueError, OSError) as error:
        is_busy = "LockBusy" in str(error)
        raise (IndexBusy if is_busy else IndexFault)(str(error)) from error
    except BaseException as error:
        # A Rust panic arrives as a BaseException of a module that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        raise IndexFault(str(error)) from error


def open_index(path: Path, *, create: bool = False) -> tantivy.Index:
    """Open (or create) the index of a generation."""
    with faults():
        if create:
            index = tantivy.Index(build_schema(), path=str(path))
        else:
            index = tantivy.Index.open(str(path))
        # "manual": we reload when the file has changed; no thread watches it.
        index.config_reader(reload_policy="manual")
        return index


class Writer:
    """The one writer of a generation."""

    def __init__(
        self,
        root: Path,
        generation: str,
        turn: Turn | None = None,
        *,
        create: bool = False,
    ) -> None:
        self.generation = generation
        self._turn = turn or Turn()
        # Created only on request: an index that lost its files must be noticed.
        self._index = open_index(root / generation, create=create)
        with faults():
            self._writer = self._index.writer(WRITER_HEAP_BYTES, 1)
            if not create:
                self._index.reload()
                self._index.searcher().search(tantivy.Query.all_query(), 1)

    def put(self, documents: Iterable[FleetDocument]) -> None:
        """Add documents; they replace older documents of the same devices."""
        with faults():
            for document in documents:
                self._writer.delete_documents_by_term(DEVICE_ID, document.device_id)
                self._add(document)

    def put_new(self, documents: Iterable[FleetDocument]) -> None:
        """Add documents of devices that have none."""
        with faults():
            for document in documents:
                self._add(document)

    def _add(self, document: FleetDocument) -> None:
        """Add a document; a refused value must not stop the other devices."""
        try:
            with faults():
                add_to(self._writer, to_text(document), self._index.schema)
        except (IndexFault, OverflowError, TypeError) as fault:
            logger.error(
                "device %d is indexed without attr, reported and metric: %s",
                document.device_id,
                fault,
            )
            values = document.values | {"attr": {}, "reported": {}, "metric": {}}
            bare = replace(document, values=values)
            add_to(self._writer, to_text(bare), self._index.schema)

    def remove(self, device_ids: Iterable[int]) -> None:
        """Remove the documents of devices."""
        with faults():
            for device_id in device_ids:
                self._writer.delete_documents_by_term(DEVICE_ID, device_id)

    def commit(self) -> None:
        """Make all changes since the last commit searchable and durable."""
        self._turn.check()
        with faults():
            self._writer.commit()

    def close(self) -> None:
        """Wait for merges and release the lock of the writer."""
        with faults():
            self._writer.wait_merging_threads()


@dataclass
class Reader:
    """A generation opened for searching; reloads itself after a commit."""

    generation: str
    path: Path
    index: tantivy.Index
    fields: frozenset[str]
    answers: KeptAnswers = field(default_factory=KeptAnswers)
    seen: tuple[int, int, int] = (0, 0, 0)

    def refresh(self) -> None:
        """Reload when another process has committed since."""
        try:
            status = (self.path / META).stat()
        except OSError as error:
            raise IndexFault(str(error)) from error
        now = (status.st_mtime_ns, status.st_ino, status.st_size)
        if now != self.seen:
            with faults():
                self.index.reload()
            self.answers = KeptAnswers()  # after the reload: no older one gets into it
            self.seen = now


class Readers:
    """The readers of this process: one per folder, of its current generation."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, Reader] = {}

    def current(self, root: Path, named: str | None = None) -> Reader:
        """Return a reader that sees the last commit; raises IndexUnavailable.

        If the pointer names another generation than the database, the database is
        right: an indexer may have been stopped before it knew that its turn was over.
        """
        with self._lock:
            for _ in range(3):  # the generation may be swapped away while we open it
                generation = generations.pointed_generation(root)
                if named and not generations.is_here(root, named):
                    raise IndexElsewhere
                generation = generation and (named or generation)
                if generation is None:
                    raise IndexUnavailable
                try:
                    return self._fresh(root, generation)
                except IndexFault:
                    self._open.pop(root, None)
            raise IndexUnavailable

    def _fresh(self, root: Path, generation: str) -> Reader:
        reader = self._open.get(root)
        if reader is None or reader.generation != generation:
            path = root / generation
            fields = generations.known_fields(root, generation)
            if not fields:
                raise IndexFault("the index was made by another version")
            reader = Reader(generation, path, open_index(path), fields)
            self._open[root] = reader
        reader.refresh()
        return reader


readers = Readers()
