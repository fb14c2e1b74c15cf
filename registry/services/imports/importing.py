"""The import of devices: all of a file's lines, or none of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.utils import timezone

from registry.models import Tenant, User
from registry.services.imports.catalogue import load_catalogue
from registry.services.imports.checking import Candidate, Checker, refuse
from registry.services.imports.reading import (
    Errors,
    Readable,
    Row,
    read_csv,
    read_ndjson,
)
from registry.services.imports.staging import Staging

CSV, NDJSON = "csv", "ndjson"
READERS: dict[str, Callable[[Readable], Iterator[Row]]] = {
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
    from time to time. A dry run does everything, then undoes it. Raises BadInput with
    ``line``, ``field``, ``message`` and ``value`` of the errors.
    """
    found = _ErrorLog()
    with transaction.atomic():
        staging = Staging(
            tenant, now=timezone.now(), actor_id=actor.pk if actor else None
        )
        rows = READERS[file_format](stream)
        checker = Checker(load_catalogue(tenant))
        count = staging.fill(_candidates(rows, checker, found), progress=progress)
        found.add(staging.insert())
        if found.count:
            raise refuse(found.errors, found.count)
        if dry_run:
            transaction.set_rollback(True)
    return count


def _candidates(
    rows: Iterable[Row], checker: Checker, found: _ErrorLog
) -> Iterator[Candidate]:
    for row in rows:
        candidate, errors = checker.check(row)
        if candidate is None:
            found.add(errors)
        else:
            yield candidate
