"""The import of devices: all of a file's lines, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from registry.models import Tenant, User
from registry.services.imports.batches import Batch
from registry.services.imports.catalogue import load_catalogue
from registry.services.imports.checking import Checker, refuse
from registry.services.imports.decoding import Errors, Readable
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
        count = staging.fill(_lines_for_copy(batches, known, found), progress=progress)
        if dry_run or found.count:
            found.add(staging.find_errors())
        else:
            found.add(staging.insert(count))
        if found.count:
            raise refuse(found.errors, found.count)
        if dry_run:
            transaction.set_rollback(True)
    return count


def _lines_for_copy(
    batches: Iterable[Batch], known: KnownParts, found: _ErrorLog
) -> Iterator[tuple[int, list[str]]]:
    """Yield for each batch its last line number, and a line for COPY of each device."""
    for batch in batches:
        copied, errors = known.check(batch)
        found.add(errors)
        if copied:
            yield batch.lines[-1], copied
