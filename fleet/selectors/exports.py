"""Exports the devices of a search as lines of a file, a page at a time."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.backends.engine import IndexFault, Page, Search
from fleet.exceptions import IndexUnavailable
from fleet.fields import BY_ANY_NAME, FIELDS, FieldRef, Kind, resolve_field
from fleet.query.keys import Keys
from fleet.selectors.known_keys import known_keys
from fleet.selectors.lag import index_lag_seconds
from fleet.selectors.search import open_search
from registry.models import Tenant

logger = logging.getLogger(__name__)

PAGE = 1_000  # documents in memory at once: some 3 MB with all fields
ORDER = FieldRef("uid").field
# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
INCOMPLETE = "This export is not complete: the index stopped answering."
ALL = tuple(FieldRef(field.name) for field in FIELDS)

Document = dict[str, Any]


@dataclass(frozen=True)
class Export:
    """The columns and the pages of an export; its first page is read already."""

    columns: Sequence[FieldRef]
    pages: Iterator[list[Document]]
    index_lag_seconds: float

    def csv(self) -> Iterator[str]:
        """Yield a CSV file with a header: lists with ``;``, objects as JSON."""
        writer = csv.writer(Echo())

        def lines() -> Iterator[str]:
            yield writer.writerow([str(ref) for ref in self.columns])
            for documents in self.pages:
                yield "".join(
                    writer.writerow([cell_of(_value(row, ref)) for ref in self.columns])
                    for row in documents
                )

        return _until_broken(lines(), writer.writerow([INCOMPLETE]))

    def ndjson(self) -> Iterator[str]:
        """Yield one JSON object per line."""

        def lines() -> Iterator[str]:
            for documents in self.pages:
                yield "".join(
                    _line({str(ref): _value(row, ref) for ref in self.columns})
                    for row in documents
                )

        return _until_broken(lines(), _line({"error": INCOMPLETE}))


class Echo:
    """A file whose ``write`` returns its argument."""

    def write(self, value: str) -> str:
        return value


def open_export(*, tenants: Iterable[Tenant], q: str, fields: Sequence[str]) -> Export:
    """Find the devices that match, in the order of their uids.

    All pages are of one state of the index: a change meanwhile moves no device. Raises
    QueryError (the query, ``fields``) and IndexUnavailable.
    """
    tenants = list(tenants)
    columns = _read_columns(fields, known_keys(tenants)) if fields else ALL
    lag = index_lag_seconds()
    found = open_search(tenants, q)
    try:
        first = found.page(ORDER, descending=False, after=None, limit=PAGE)
    except IndexFault as fault:
        raise IndexUnavailable from fault
    return Export(columns, _pages(found, first), lag)


def _read_columns(names: Sequence[str], keys: Keys) -> list[FieldRef]:
    """Return the asked columns in their order; a field like ``attr`` is one, too."""
    columns = []
    for name in names:
        field = BY_ANY_NAME.get(name)
        if field is not None and field.kind is Kind.JSON:
            ref = FieldRef(field.name)
        else:
            ref = resolve_field(name, source="fields")
            if ref.path:
                keys.check(ref, source="fields")
        columns.append(ref)
    return list(dict.fromkeys(columns))


def _pages(found: Search, first: Page) -> Iterator[list[Document]]:
    page = first
    while True:
        yield page.documents
        if page.last is None:
            return
        page = found.page(ORDER, descending=False, after=page.last, limit=PAGE)


def _until_broken(lines: Iterator[str], broken: str) -> Iterator[str]:
    """Yield the lines; if the index fails, end with such a line and an error.

    The error cuts the answer off, which HTTP tells its reader. The line tells a reader
    behind a proxy that does not pass this on.
    """
    try:
        yield from lines
    except IndexFault as fault:
        logger.error("an export broke off: %s", fault)
        yield broken
        raise


def _value(document: Document, ref: FieldRef) -> Any:
    value = document.get(ref.name)
    return (value or {}).get(ref.path) if ref.path else value


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


def cell_of(value: Any) -> str:
    """Return a value as a cell: plain, and never taken for a formula."""
    text = _text(value)
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ";".join(map(_text, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value)
