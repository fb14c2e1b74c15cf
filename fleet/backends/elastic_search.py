"""Searching Elasticsearch: pages, counts, facets, ids."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from elasticsearch import ApiError, Elasticsearch, TransportError
from elasticsearch_dsl import Search as Request

from fleet.backends.columns import DEVICE_ID, SOURCE, sort_column
from fleet.backends.counted_values import (
    MOST_COUNTED,
    facet_rows,
    is_left_out,
    merge_spellings,
    shown_number,
)
from fleet.backends.elastic_client import faults
from fleet.backends.elastic_query import EVERYTHING, Compiler, Query, query_of
from fleet.backends.elastic_schema import NUMBERS, TEXTS
from fleet.backends.engine import Counted, Page, Place, Row, SortValue
from fleet.fields import Field, FieldRef, Kind
from fleet.normal_forms import number_of

MOST_HITS = 10_000  # of one request
KEEP_ALIVE = "1m"
COLUMNS_AT_A_TIME = 6  # a request may return 65,536 values


class Moment:
    """A generation as it is at each request, or as it was when it was first held."""

    def __init__(self, client: Elasticsearch, index: str) -> None:
        self.client = client
        self.index = index
        self._pit: str | None = None

    def hold(self) -> None:
        """Keep the present state for all further requests."""
        if self._pit is None:
            with faults():
                opened = self.client.open_point_in_time(
                    index=self.index, keep_alive=KEEP_ALIVE
                )
            self._pit = opened["id"]
            weakref.finalize(self, _close, self.client, self._pit)

    def ask(self, request: Request, filter_path: str | None = None) -> Any:
        """Return the answer to a request; one that is not of all shards is a fault."""
        index: str | None = self.index
        if self._pit is not None:
            index = None
            request = request.extra(pit={"id": self._pit, "keep_alive": KEEP_ALIVE})
        with faults():
            return self.client.search(
                index=index,
                body=request.to_dict(),
                filter_path=filter_path,
                # A point in time has its shards already.
                allow_partial_search_results=False,
            )

    def ids(self, query: Query) -> Iterator[int]:
        """Yield the ids of all devices that a query finds, in order."""
        request = _request(query).extra(_source=False, track_total_hits=False)
        request = request.sort(DEVICE_ID)[:MOST_HITS]
        hits = self._hits(request)
        if len(hits) == MOST_HITS:
            self.hold()
            hits = self._hits(request)
        while hits:
            yield from (hit["sort"][0] for hit in hits)
            if len(hits) < MOST_HITS:
                return
            hits = self._hits(request.extra(search_after=hits[-1]["sort"]))

    def _hits(self, request: Request) -> list[Any]:
        answer = self.ask(request, filter_path="hits.hits.sort")
        found: list[Any] = answer.get("hits", {}).get("hits", [])
        return found


def _close(client: Elasticsearch, pit: str) -> None:
    try:
        client.close_point_in_time(id=pit)
    except (ApiError, TransportError):
        pass  # it ends by itself


class Search:
    """One query on one moment: its count, ids, facets and pages."""

    def __init__(self, moment: Moment, compiler: Compiler, query: Query) -> None:
        self.moment = moment
        self.compiler = compiler
        self.query = query

    def same_moment(self, query: Query) -> Search:
        """Return another search of the same state of the index."""
        self.moment.hold()
        return Search(self.moment, self.compiler, query)

    def count(self) -> int:
        """Return how many devices match."""
        request = _request(self.query).extra(track_total_hits=True)[:0]
        return int(self.moment.ask(request)["hits"]["total"]["value"])

    def device_ids(self) -> list[int]:
        """Return the ids of every device that matches, in order."""
        return list(self.moment.ids(self.query))

    def facet(self, ref: FieldRef) -> list[Row]:
        """Return the most frequent values of a field within the result."""
        return self.facets([ref])[ref]

    def facets(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Row]]:
        """Return the facets of several fields."""
        found: dict[FieldRef, tuple[list[Row], bool]] = {}
        for ref, rows, is_exact in self._counted(refs):
            before, were_exact = found.get(ref, ([], True))
            found[ref] = before + rows, is_exact and were_exact
        return {
            ref: facet_rows(ref, rows, is_exact=is_exact)
            for ref, (rows, is_exact) in found.items()
        }

    def values(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Counted]]:
        """Count the values of many fields.

        A column of numbers with many values is left out: it names nothing.
        """
        found: dict[FieldRef, list[Row]] = {ref: [] for ref in refs}
        for ref, rows, _ in self._counted(refs):
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
        for start in range(0, len(columns), COLUMNS_AT_A_TIME):
            part = columns[start : start + COLUMNS_AT_A_TIME]
            request = _request(self.query).extra(track_total_hits=False)[:0]
            for place, (_, column) in enumerate(part):
                request.aggs.bucket(
                    str(place), "terms", field=column, size=MOST_COUNTED
                )
            answer = self.moment.ask(request, filter_path="aggregations")
            for place, (ref, column) in enumerate(part):
                counted = answer["aggregations"][str(place)]
                rows = [
                    {"value": _shown(ref, column, b["key"]), "count": b["doc_count"]}
                    for b in counted["buckets"]
                ]
                yield ref, rows, not counted["sum_other_doc_count"]

    def page(
        self, field: Field, *, descending: bool, after: Place | None, limit: int
    ) -> Page:
        """Return the page after a place, sorted by a field and then by device id."""
        order = {"order": "desc" if descending else "asc", "missing": "_last"}
        request = _request(self.query).extra(track_total_hits=True)
        request = request.sort({sort_column(field): order}, DEVICE_ID)[: limit + 1]
        request = request.source(includes=[SOURCE])
        missing = _missing(field, descending)
        if after is not None:
            value = missing if after.value is None else after.value
            request = request.extra(search_after=[value, after.device_id])
        answer = self.moment.ask(request)["hits"]
        more, hits = len(answer["hits"]) > limit, answer["hits"][:limit]
        last = None
        if more and hits:
            value, device_id, *_ = hits[-1]["sort"]
            last = Place(None if value == missing else value, device_id)
        return Page(answer["total"]["value"], [_source(hit) for hit in hits], last)


class ElasticReader:
    """A generation opened for reading."""

    def __init__(
        self, client: Elasticsearch, generation: str, fields: frozenset[str]
    ) -> None:
        self.generation = generation
        self.fields = fields
        self._client = client

    def check(self) -> None:
        with faults():
            self._client.indices.get_settings(index=self.generation)

    def compiler(self, now: datetime) -> Compiler:
        return Compiler(now=now)

    def search(self, compiler: Compiler, query: Query) -> Search:
        return Search(Moment(self._client, self.generation), compiler, query)

    def stored_documents(self, device_ids: list[int]) -> dict[int, list[Row]]:
        """Return the indexed document of each of these devices that has one."""
        found: dict[int, list[Row]] = {}
        moment = Moment(self._client, self.generation)
        for start in range(0, len(device_ids), MOST_HITS):
            part = device_ids[start : start + MOST_HITS]
            request = _request(query_of("ids", values=[str(pk) for pk in part]))
            request = request.source(includes=[SOURCE])[:MOST_HITS]
            for hit in moment.ask(request)["hits"]["hits"]:
                found.setdefault(int(hit["_id"]), []).append(_source(hit))
        return found

    def device_ids(self) -> list[int]:
        """Return the device id of every document in the index."""
        return list(Moment(self._client, self.generation).ids(EVERYTHING))


def _request(query: Query) -> Request:
    return Request().query(query)


def _columns_of(ref: FieldRef) -> list[str]:
    """Return the columns of a field's values; a key may have texts and numbers."""
    if ref.kind is not Kind.JSON:
        return [ref.name]
    return [f"{ref.name}{TEXTS}.{ref.path}", f"{ref.name}{NUMBERS}.{ref.path}"]


def _shown(ref: FieldRef, column: str, key: Any) -> Any:
    if ref.kind is Kind.BOOLEAN:
        return key == "true"
    if ref.kind is Kind.JSON and column.startswith(ref.name + NUMBERS):
        return shown_number(number_of(key))
    return key if isinstance(key, str) else shown_number(key)


def _missing(field: Field, descending: bool) -> SortValue:
    """Return what stands for "no value" where hits are sorted; it comes last."""
    if field.kind is Kind.NUMBER:
        return "-Infinity" if descending else "Infinity"
    if field.kind is Kind.DATE:
        return -(2**63) if descending else 2**63 - 1
    return None


def _source(hit: Any) -> Row:
    document: Row = json.loads(hit["_source"][SOURCE])
    return document
