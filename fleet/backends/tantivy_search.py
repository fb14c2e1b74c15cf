"""Searching the embedded index: pages, counts, facets, ids."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

import tantivy

from fleet.backends.columns import DEVICE_ID, SOURCE
from fleet.backends.counted_values import (
    MOST_COUNTED,
    facet_rows,
    is_left_out,
    merge_spellings,
    shown_number,
)
from fleet.backends.engine import Counted, Page, Place, Row
from fleet.backends.kept_answers import KeptAnswers
from fleet.backends.tantivy_index import Reader, faults
from fleet.backends.tantivy_pages import Pager
from fleet.backends.tantivy_query import Compiler, Query, TenantQuery
from fleet.backends.tantivy_schema import json_path
from fleet.fields import Field, FieldRef, Kind

T = TypeVar("T")

LARGEST_KEPT = 100  # documents of a page that is kept until the next commit
# A segment of the index counts no more values than this, either.
MOST_VALUES = {"size": MOST_COUNTED, "segment_size": MOST_COUNTED}


class Search:
    """One query on one reader: its count, ids, facets and pages."""

    def __init__(
        self,
        reader: Reader,
        compiler: Compiler,
        query: TenantQuery,
        answers: KeptAnswers | None = None,
        searcher: tantivy.Searcher | None = None,
    ) -> None:
        self.reader = reader
        self.compiler = compiler
        self.query = query.query
        self.key = query.key
        # The answers first: those of an older state may get newer ones, not the other
        # way round.
        self.answers = answers or reader.answers
        self.searcher = searcher or reader.index.searcher()

    def same_moment(self, query: TenantQuery) -> Search:
        """Return another search of the same state of the index."""
        return Search(self.reader, self.compiler, query, self.answers, self.searcher)

    def count(self) -> int:
        """Return how many devices match."""
        return self._kept("count", self._count)

    def _count(self) -> int:
        with faults():
            found: Any = self.searcher.search(self.query, 1, count=True)
            return int(found.count)

    def device_ids(self) -> list[int]:
        """Return the ids of every device that matches, in order."""
        if not (total := self.count()):
            return []
        with faults():
            hits = self.searcher.search(
                self.query,
                total,
                count=False,
                order_by_field=DEVICE_ID,
                order=tantivy.Order.Asc,
            ).hits
            return [device_id for device_id, _ in hits]

    def facet(self, ref: FieldRef) -> list[Row]:
        """Return the most frequent values of a field within the result."""
        return self.facets([ref])[ref]

    def facets(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Row]]:
        """Return the facets of several fields, by one pass over the result."""
        return _copied(self._kept(("facets", *refs), lambda: self._facets(refs)))

    def _facets(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Row]]:
        found: dict[FieldRef, tuple[list[Row], bool]] = {}
        for ref, rows, is_all in self._counted(refs):
            before, were_all = found.get(ref, ([], True))
            found[ref] = before + rows, is_all and were_all
        return {
            ref: facet_rows(ref, rows, is_exact=is_all)
            for ref, (rows, is_all) in found.items()
        }

    def values(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Counted]]:
        """Count the values of many fields by one pass over the result.

        A column of numbers with many values is left out: it names nothing.
        """
        known = [ref for ref in refs if ref.name in self.reader.fields]
        if not known:
            return {}
        found: dict[FieldRef, list[Row]] = {ref: [] for ref in refs}
        for ref, rows, _ in self._counted(known):
            if not is_left_out([row["value"] for row in rows]):
                found[ref] += rows
        return {
            ref: [(row["value"], row["count"]) for row in merge_spellings(ref, rows)]
            for ref, rows in found.items()
        }

    def _counted(
        self, refs: Sequence[FieldRef]
    ) -> Iterator[tuple[FieldRef, list[Row], bool]]:
        """Yield the counted values of each column, and whether those are all."""
        columns = [(ref, column) for ref in refs for column in _columns_of(ref)]
        request = {
            str(place): {"terms": {"field": column} | MOST_VALUES}
            for place, (_, column) in enumerate(columns)
        }
        if not request:
            return
        with faults():
            answer = self.searcher.aggregate(self.query, request)
        for place, (ref, _) in enumerate(columns):
            counted = answer[str(place)]
            rows = [
                {"value": _shown(ref, bucket["key"]), "count": bucket["doc_count"]}
                for bucket in counted["buckets"]
            ]
            yield ref, rows, not counted.get("sum_other_doc_count")

    def page(
        self, field: Field, *, descending: bool, after: Place | None, limit: int
    ) -> Page:
        """Return the page after a place, sorted by a field and then by device id."""
        asked = ("page", field.name, descending, after, limit)

        def make() -> tuple[int, list[bytes], Place | None]:
            return self._page(field, descending, after, limit)

        is_small = limit <= LARGEST_KEPT
        total, sources, last = self._kept(asked, make) if is_small else make()
        return Page(total, [json.loads(source) for source in sources], last)

    def _page(
        self, field: Field, descending: bool, after: Place | None, limit: int
    ) -> tuple[int, list[bytes], Place | None]:
        pager = Pager(
            self.searcher, self.compiler, self.query, field, descending, limit + 1
        )
        with faults():
            hits = pager.collect(after)
            sources = [_source(self.searcher, hit[2]) for hit in hits[:limit]]
        more, hits = len(hits) > limit, hits[:limit]
        last = Place(hits[-1][0], hits[-1][1]) if more and hits else None
        total = self.count() if pager.total is None else pager.total
        return total, sources, last

    def _kept(self, what: Hashable, make: Callable[[], T]) -> T:
        """Return what this state of the index answered before, or answers now."""
        if self.key is None:
            return make()
        return self.answers.get((self.key, what), make)


def stored_documents(reader: Reader, device_ids: list[int]) -> dict[int, list[Row]]:
    """Return every indexed document of these devices, by device id."""
    searcher = reader.index.searcher()
    query = Query.term_set_query(reader.index.schema, DEVICE_ID, device_ids)
    # More than one per device, so that a device with two documents is noticed.
    hits = searcher.search(
        query, len(device_ids) * 2 + 1, count=False, order_by_field=DEVICE_ID
    ).hits
    found: dict[int, list[Row]] = {}
    for device_id, address in hits:
        document = json.loads(_source(searcher, address))
        found.setdefault(device_id, []).append(document)
    return found


def indexed_device_ids(reader: Reader) -> list[int]:
    """Return the device id of every document in the index."""
    searcher = reader.index.searcher()
    hits = searcher.search(
        Query.all_query(),
        max(1, searcher.num_docs),
        count=False,
        order_by_field=DEVICE_ID,
        order=tantivy.Order.Asc,
    ).hits
    return [device_id for device_id, _ in hits]


def _columns_of(ref: FieldRef) -> list[str]:
    """Return the columns of a field's values; a key may have texts and numbers."""
    if ref.kind is not Kind.JSON:
        return [ref.name]
    path = json_path(ref.name, ref.path)
    return [f"{path}.$s", f"{path}.$n"]


def _source(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> bytes:
    stored: Any = searcher.doc(address).get_first(SOURCE)
    return bytes(stored)


def _copied(facets: dict[FieldRef, list[Row]]) -> dict[FieldRef, list[Row]]:
    return {ref: [dict(row) for row in rows] for ref, rows in facets.items()}


def _shown(ref: FieldRef, key: Any) -> Any:
    if ref.kind is Kind.BOOLEAN:
        return key == "true"
    if ref.kind is Kind.JSON and isinstance(key, str):
        return key.removeprefix("=")
    return key if isinstance(key, str) else shown_number(key)
