"""One page of the embedded index: its hits, in order.

tantivy sorts by one column, puts hits without a value last, and orders ties at random.
So ties are fetched by id: first the rest of the value at which the last page ended,
then the next values, then the devices without a value.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import tantivy

from fleet.backends.columns import DEVICE_ID, TERMS, sort_column
from fleet.backends.engine import Place, SortValue
from fleet.backends.tantivy_query import (
    FLOAT,
    INTEGER,
    Compiler,
    Query,
    both,
    without,
)
from fleet.fields import Field, Kind

Hit: TypeAlias = tuple[SortValue, int, tantivy.DocAddress]


class Pager:
    """Collects the hits of one page."""

    def __init__(
        self,
        searcher: tantivy.Searcher,
        compiler: Compiler,
        query: Query,
        field: Field,
        descending: bool,
        limit: int,
    ) -> None:
        self.searcher = searcher
        self.compiler = compiler
        self.query = query
        self.field = field
        self.column = sort_column(field)
        self.order = tantivy.Order.Desc if descending else tantivy.Order.Asc
        self.descending = descending
        self.limit = limit
        self.hits: list[Hit] = []
        self.total: int | None = None  # of all pages; known if this is the first

    def collect(self, after: Place | None) -> list[Hit]:
        """Return up to ``limit`` hits after the place."""
        if after is None:
            self._values(self.query, is_all=True)
        elif after.value is not None:
            self._ties(after.value, after.device_id)
            self._values(both(self.query, self._beyond(after.value)))
        if self.total is None or self.total > len(self.hits):
            is_tie = after is not None and after.value is None
            self._valueless(after.device_id if after and is_tie else None)
        return self.hits

    @property
    def missing(self) -> int:
        """How many hits the page still lacks."""
        return self.limit - len(self.hits)

    def _values(self, query: Query, *, is_all: bool = False) -> None:
        """Add the hits of the query that have a value, in order."""
        if not self.missing:
            return
        wanted = self.missing
        found = self.searcher.search(
            query,
            wanted + 1,
            count=is_all,
            order_by_field=self.column,
            order=self.order,
        )
        if is_all:
            self.total = self._count_of(found)
        valued = [hit for hit in found.hits if hit[0] is not None]
        if not valued:
            return
        ids = self._ids([address for _, address in valued])
        hits = [(v, i, a) for (v, a), i in zip(valued, ids, strict=True)]
        last = hits[-1][0]
        is_cut = len(hits) > wanted
        if is_cut:
            # The last value may have more hits than this, so fetch those by id.
            hits = [hit for hit in hits if hit[0] != last]
        groups = {value: n for n, value in enumerate(dict.fromkeys(h[0] for h in hits))}
        self.hits += sorted(hits, key=lambda hit: (groups[hit[0]], hit[1]))
        if is_cut:
            self._ties(last, None)

    @staticmethod
    def _count_of(found: Any) -> int:
        return int(found.count)

    def _ties(self, value: SortValue, after_id: int | None) -> None:
        self._by_id(self._equal(value), after_id, value)

    def _valueless(self, after_id: int | None) -> None:
        self._by_id(without(Query.exists_query(self.column)), after_id, None)

    def _by_id(self, condition: Query, after_id: int | None, value: SortValue) -> None:
        if not self.missing:
            return
        conditions = [self.query, condition]
        if after_id is not None:
            conditions.append(self._range(DEVICE_ID, INTEGER, after_id, None))
        found = self.searcher.search(
            both(*conditions),
            self.missing,
            count=False,
            order_by_field=DEVICE_ID,
            order=tantivy.Order.Asc,
        ).hits
        self.hits += [(value, device_id, address) for device_id, address in found]

    def _ids(self, addresses: list[tantivy.DocAddress]) -> list[int]:
        values = self.searcher.fast_field_values(DEVICE_ID, addresses)
        return [int(value) for value in values if value is not None]

    def _range(self, column: str, kind: Any, low: Any, high: Any) -> Query:
        return Query.range_query(
            self.compiler.schema,
            column,
            kind,
            low,
            high,
            low is None,
            high is None,
        )

    def _equal(self, value: SortValue) -> Query:
        schema = self.compiler.schema
        if isinstance(value, str):
            return Query.term_query(schema, self.column, value, "basic")
        kind = INTEGER if self.field.kind is Kind.DATE else FLOAT
        return Query.range_query(schema, self.column, kind, value, value)

    def _beyond(self, value: SortValue) -> Query:
        """Return a query for the values that come after this one."""
        low, high = (None, value) if self.descending else (value, None)
        if self.field.kind in TERMS or self.field.kind is Kind.TEXT:
            return self.compiler.text_range(
                self.column,
                None if low is None else str(low),
                None if high is None else str(high),
                False,
                False,
            )
        kind = INTEGER if self.field.kind is Kind.DATE else FLOAT
        return self._range(self.column, kind, low, high)
