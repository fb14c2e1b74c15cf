"""The import of devices: all of a file's lines, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO

from django.db import transaction
from django.utils import timezone

from iotplatform.common.batches import read_ahead
from iotplatform.common.problems import BadInput
from registry.models import Tenant, User
from registry.services.imports.batches import Batch
from registry.services.imports.catalogue import load_catalogue
from registry.services.imports.checking import Checker, refuse
from registry.services.imports.decoding import READ_BYTES, Errors, Readable
from registry.services.imports.known_parts import KnownParts
from registry.services.imports.reading import read_csv, read_ndjson
from registry.services.imports.staging import Staging

CSV, NDJSON = "csv", "ndjson"
READERS: dict[str, Callable[[Readable], Iterator[Batch]]] = {
    CSV: read_csv,
    NDJSON: read_ndjson,
}
# Every line is checked and every error is counted, but only the first are kept: for a
# file full of errors the answer would be as large as the file.
MOST_ERRORS = 1_000
# Lines that PostgreSQL inserts while the next ones are checked: enough that the cost of
# a statement is nothing beside them, and some megabytes.
PART = 10_000


def find_tenant(stream: Readable, file_format: str) -> tuple[str | None, Readable]:
    """Return the tenant that the first lines of a file name, and the file as it was."""
    head = stream.read(READ_BYTES)
    whole = _Whole(head, stream)
    try:
        batch = next(READERS[file_format](BytesIO(head)), None)
    except BadInput:  # the import itself says so
        return None, whole
    for row in batch.rows() if batch else ():
        if isinstance(slug := row.given.get("tenant"), str):
            return slug, whole
    return None, whole


@dataclass
class _Whole:
    """A stream whose head was read, from its beginning."""

    head: bytes
    rest: Readable

    def read(self, size: int = -1, /) -> bytes:
        end = size if size >= 0 else len(self.head)
        found, self.head = self.head[:end], self.head[end:]
        return found or self.rest.read(size)


@dataclass
class _ErrorLog:
    """The errors of a file: the first ones, and how many there are."""

    errors: Errors = field(default_factory=list)
    count: int = 0

    def add(self, errors: Errors) -> None:
        self.count += len(errors)
        self.errors += errors[: MOST_ERRORS - len(self.errors)]


def import_devices(
    *,
    tenant: Tenant,
    stream: Readable,
    file_format: str,
    actor: User | None,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda line: None,
) -> int:
    """Register the devices of a file as provisioned, all or none; return how many.

    ``file_format`` is ``csv`` or ``ndjson``; ``progress`` is called with a line number
    from time to time. A dry run checks everything, and writes nothing. Raises BadInput
    with ``line``, ``field``, ``message`` and ``value`` of the errors.
    """
    found = _ErrorLog()
    with transaction.atomic():
        staging = Staging(
            tenant, now=timezone.now(), actor_id=actor.pk if actor else None
        )
        batches = READERS[file_format](stream)
        known = KnownParts(Checker(load_catalogue(tenant)))
        for last_line, lines in read_ahead(_lines_for_copy(batches, known, found)):
            staging.add(lines)
            if not (dry_run or found.count):
                staging.insert_added(last_line=last_line)
            progress(last_line)
        if dry_run or found.count:
            found.add(staging.find_errors())
        else:
            found.add(staging.finish())
        if found.count:
            raise refuse(found.errors, found.count)
        if dry_run:
            transaction.set_rollback(True)
    return staging.count


def _lines_for_copy(
    batches: Iterable[Batch], known: KnownParts, found: _ErrorLog
) -> Iterator[tuple[int, list[str]]]:
    """Yield parts of the file: the last line's number, and lines for COPY."""
    copied: list[str] = []
    last = 0
    for batch in batches:
        further, errors = known.check(batch)
        found.add(errors)
        copied += further
        last = batch.lines[-1] if batch.lines else last
        if len(copied) >= PART:
            yield last, copied
            copied = []
    if copied:
        yield last, copied
