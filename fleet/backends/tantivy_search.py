"""Searching the embedded index: pages, counts, facets, ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import tantivy

from fleet.backends.columns import DEVICE_ID, SOURCE, TERMS, sort_column
from fleet.backends.counted_values import (
    MOST_COUNTED,
    facet_rows,
    is_left_out,
    merge_spellings,
    shown_number,
)
from fleet.backends.engine import Counted, Page, Place, Row, SortValue
from fleet.backends.tantivy_index import Reader, faults
from fleet.backends.tantivy_query import (
    FLOAT,
    INTEGER,
    Compiler,
    Query,
    both,
    without,
)
from fleet.backends.tantivy_schema import json_path
from fleet.fields import Field, FieldRef, Kind

Hit: TypeAlias = tuple[SortValue, int, tantivy.DocAddress]
# A segment of the index counts no more values than this, either.
MOST_VALUES = {"size": MOST_COUNTED, "segment_size": MOST_COUNTED}


class Search:
    """One query on one reader: its count, ids, facets and pages."""

    def __init__(
        self,
        reader: Reader,
        compiler: Compiler,
        query: Query,
        searcher: tantivy.Searcher | None = None,
    ) -> None:
        self.reader = reader
        self.compiler = compiler
        self.query = query
        self.searcher = searcher or reader.index.searcher()

    def same_moment(self, query: Query) -> Search:
        """Return another search of the same state of the index."""
        return Search(self.reader, self.compiler, query, self.searcher)

    def count(self) -> int:
        """Return how many devices match."""
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
        rows: list[Row] = []
        is_exact = True
        for column in _columns_of(ref):
            request = {"x": {"terms": {"field": column} | MOST_VALUES}}
            with faults():
                answer = self.searcher.aggregate(self.query, request)["x"]
            rows += [
                {"value": _shown(ref, bucket["key"]), "count": bucket["doc_count"]}
                for bucket in answer["buckets"]
            ]
            is_exact = is_exact and not answer.get("sum_other_doc_count")
        return facet_rows(ref, rows, is_exact=is_exact)

    def facets(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Row]]:
        """Return the facets of several fields."""
        return {ref: self.facet(ref) for ref in refs}

    def values(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Counted]]:
        """Count the values of many fields by one pass over the result.

        A column of numbers with many values is left out: it names nothing.
        """
        known = [ref for ref in refs if ref.name in self.reader.fields]
        columns = [(ref, column) for ref in known for column in _columns_of(ref)]
        request = {
            str(place): {"terms": {"field": column} | MOST_VALUES}
            for place, (_, column) in enumerate(columns)
        }
        if not request:
            return {}
        with faults():
            answer = self.searcher.aggregate(self.query, request)
        rows: dict[FieldRef, list[Row]] = {ref: [] for ref in refs}
        for place, (ref, _) in enumerate(columns):
            buckets = answer[str(place)]["buckets"]
            if is_left_out([row["key"] for row in buckets]):
                continue
            rows[ref] += [
                {"value": _shown(ref, row["key"]), "count": row["doc_count"]}
                for row in buckets
            ]
        return {
            ref: [(row["value"], row["count"]) for row in merge_spellings(ref, found)]
            for ref, found in rows.items()
        }

    def page(
        self, field: Field, *, descending: bool, after: Place | None, limit: int
    ) -> Page:
        """Return the page after a place, sorted by a field and then by device id.

        tantivy sorts by one column and orders ties at random, so ties are fetched by
        id: first the rest of the value at which the last page ended, then the next
        values, then the devices without a value.
        """
        pager = _Pager(self, field, descending, limit + 1)
        hits = pager.collect(after)
        more = len(hits) > limit
        hits = hits[:limit]
        with faults():
            documents = [_source(self.searcher, address) for _, _, address in hits]
        last = Place(hits[-1][0], hits[-1][1]) if more and hits else None
        return Page(self.count(), documents, last)


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
        found.setdefault(device_id, []).append(_source(searcher, address))
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


def _source(searcher: tantivy.Searcher, address: tantivy.DocAddress) -> dict[str, Any]:
    stored: Any = searcher.doc(address).get_first(SOURCE)
    document: dict[str, Any] = json.loads(bytes(stored))
    return document


def _shown(ref: FieldRef, key: Any) -> Any:
    if ref.kind is Kind.BOOLEAN:
        return key == "true"
    if ref.kind is Kind.JSON and isinstance(key, str):
        return key.removeprefix("=")
    return key if isinstance(key, str) else shown_number(key)


class _Pager:
    """Collects the hits of one page."""

    def __init__(
        self, search: Search, field: Field, descending: bool, limit: int
    ) -> None:
        self.search = search
        self.field = field
        self.column = sort_column(field)
        self.order = tantivy.Order.Desc if descending else tantivy.Order.Asc
        self.descending = descending
        self.limit = limit
        self.hits: list[Hit] = []

    def collect(self, after: Place | None) -> list[Hit]:
        """Return up to ``limit`` hits after the place."""
        with faults():
            if after is None:
                self._values(Query.exists_query(self.column))
            elif after.value is not None:
                self._ties(after.value, after.device_id)
                self._values(self._beyond(after.value))
            tie = after.device_id if after is not None and after.value is None else None
            self._valueless(tie)
        return self.hits

    @property
    def missing(self) -> int:
        """How many hits the page still lacks."""
        return self.limit - len(self.hits)

    def _values(self, condition: Query) -> None:
        """Add the hits whose values satisfy the condition, in order."""
        if not self.missing:
            return
        wanted = self.missing
        found = self.search.searcher.search(
            both(self.search.query, condition),
            wanted,
            count=False,
            order_by_field=self.column,
            order=self.order,
        ).hits
        if not found:
            return
        ids = self._ids([address for _, address in found])
        hits = [(v, i, a) for (v, a), i in zip(found, ids, strict=True)]
        last = hits[-1][0]
        if len(hits) == wanted:
            # The last value may have more hits than this, so fetch those by id.
            hits = [hit for hit in hits if hit[0] != last]
        groups = {value: n for n, value in enumerate(dict.fromkeys(h[0] for h in hits))}
        self.hits += sorted(hits, key=lambda hit: (groups[hit[0]], hit[1]))
        if len(found) == wanted:
            self._ties(last, None)

    def _ties(self, value: SortValue, after_id: int | None) -> None:
        self._by_id(self._equal(value), after_id, value)

    def _valueless(self, after_id: int | None) -> None:
        self._by_id(without(Query.exists_query(self.column)), after_id, None)

    def _by_id(self, condition: Query, after_id: int | None, value: SortValue) -> None:
        if not self.missing:
            return
        conditions = [self.search.query, condition]
        if after_id is not None:
            conditions.append(self._range(DEVICE_ID, INTEGER, after_id, None))
        found = self.search.searcher.search(
            both(*conditions),
            self.missing,
            count=False,
            order_by_field=DEVICE_ID,
            order=tantivy.Order.Asc,
        ).hits
        self.hits += [(value, device_id, address) for device_id, address in found]

    def _ids(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        values = self.search.searcher.fast_field_values(DEVICE_ID, addresses)
        return [int(value) for value in values if value is not None]

    def _range(self, column: str, kind: Any, low: Any, high: Any) -> Query:
        return Query.range_query(
            self.search.compiler.schema,
            column,
            kind,
            low,
            high,
            low is None,
            high is None,
        )

    def _equal(self, value: SortValue) -> Query:
        schema = self.search.compiler.schema
        if isinstance(value, str):
            return Query.term_query(schema, self.column, value, "basic")
        kind = INTEGER if self.field.kind is Kind.DATE else FLOAT
        return Query.range_query(schema, self.column, kind, value, value)

    def _beyond(self, value: SortValue) -> Query:
        """Return a query for the values that come after this one."""
        low, high = (None, value) if self.descending else (value, None)
        if self.field.kind in TERMS or self.field.kind is Kind.TEXT:
            return self.search.compiler.text_range(
                self.column,
                None if low is None else str(low),
                None if high is None else str(high),
                False,
                False,
            )
        kind = INTEGER if self.field.kind is Kind.DATE else FLOAT
        return self._range(self.column, kind, low, high)
