"""What every search engine offers, and what the rest of the app may know of one.

An engine keeps generations of the index: one is searched, and a rebuild fills another
beside it. Whatever goes wrong in an engine is an ``IndexFault``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from fleet.backends.documents import FleetDocument
from fleet.fields import Field, FieldRef
from fleet.query.tree import Node
from registry.member_limit import Limit

SortValue: TypeAlias = str | float | int | None
Counted: TypeAlias = tuple[Any, int]  # a value, and how many devices have it
Row: TypeAlias = dict[str, Any]
Limits: TypeAlias = Mapping[int, Limit | None]  # by tenant; None is the whole tenant
Compiled: TypeAlias = Any  # the engine's own form of a query


class IndexFault(Exception):
    """An operation of the index failed: the index is busy, broken or missing."""


class IndexBusy(IndexFault):
    """Another writer has the generation open."""


class BadIndexQuery(IndexFault):
    """The index cannot answer this query, and no other state of it could."""


@dataclass(frozen=True)
class Place:
    """Where a page ended: the sorted value of its last device, and that device."""

    value: SortValue
    device_id: int


@dataclass(frozen=True)
class Page:
    """One page of a search."""

    total: int
    documents: list[Row]
    last: Place | None  # None when nothing comes after


@dataclass
class Turn:
    """A writer's turn: a later one has a higher epoch, and its documents win.

    ``check`` raises IndexFault when a later turn has begun.
    """

    epoch: int = 0
    check: Callable[[], None] = lambda: None
    batch: int = 0

    def next_version(self) -> int:
        """Return the version of the next batch's documents; it grows."""
        self.batch += 1
        return self.epoch * 2**40 + self.batch


class Compiler(Protocol):
    """Compiles trees at one moment."""

    def for_tenants(self, node: Node, tenants: Limits) -> Compiled:
        """Compile a tree, restricted to these tenants and their member limits."""


class Search(Protocol):
    """One query on one state of the index."""

    @property
    def compiler(self) -> Compiler: ...

    def same_moment(self, query: Compiled) -> Search:
        """Return another search of the same state of the index."""

    def count(self) -> int:
        """Return how many devices match."""

    def device_ids(self) -> list[int]:
        """Return the ids of every device that matches, in order."""

    def facet(self, ref: FieldRef) -> list[Row]:
        """Return the most frequent values of a field within the result."""

    def facets(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Row]]:
        """Return the facets of several fields."""

    def values(self, refs: Sequence[FieldRef]) -> dict[FieldRef, list[Counted]]:
        """Count the values of many fields by one pass over the result.

        A column of numbers with many values is left out: it names nothing.
        """

    def page(
        self, field: Field, *, descending: bool, after: Place | None, limit: int
    ) -> Page:
        """Return the page after a place, sorted by a field and then by device id.

        Devices without a value come last, in both directions.
        """


class Reader(Protocol):
    """A generation opened for reading."""

    @property
    def generation(self) -> str: ...

    @property
    def fields(self) -> frozenset[str]:
        """The fields that can be searched: all, but in an index of another schema."""

    def check(self) -> None:
        """Raise IndexFault unless the index answers."""

    def compiler(self, now: datetime) -> Compiler: ...

    def search(self, compiler: Any, query: Compiled) -> Search: ...

    def stored_documents(self, device_ids: list[int]) -> dict[int, list[Row]]:
        """Return every indexed document of these devices, by device id."""

    def device_ids(self) -> list[int]:
        """Return the device id of every document in the index."""


class Writer(Protocol):
    """The one writer of a generation."""

    @property
    def generation(self) -> str: ...

    def put(self, documents: Iterable[FleetDocument]) -> None:
        """Add documents; they replace older documents of the same devices."""

    def put_new(self, documents: Iterable[FleetDocument]) -> None:
        """Add documents of devices that have none here."""

    def remove(self, device_ids: Iterable[int]) -> None:
        """Remove the documents of devices."""

    def commit(self) -> None:
        """Make all changes since the last commit searchable and durable."""

    def close(self) -> None:
        """Release the generation for another writer."""


class Engine(Protocol):
    """A search engine with its generations."""

    def reader(self, named: str | None = None) -> Reader:
        """Return a reader that sees the last commit; raises IndexUnavailable.

        ``named`` is the generation that the database names; the engine's own pointer
        may be of another database, another machine, or a moment before or after.
        """

    def writer(
        self, generation: str, turn: Turn | None = None, *, create: bool = False
    ) -> Writer:
        """Open a generation for writing; raises IndexBusy, or IndexFault if broken."""

    def adopt(self, generation: str) -> str:
        """Return a generation with the same documents that no other writer has open.

        Whatever the other one still writes is in no search. The pointer stays as it is.
        """

    def new_generation(self) -> str:
        """Make an empty generation beside the one that is searched."""

    def current_generation(self) -> str | None:
        """Return the generation that searches read; None if its schema is not ours."""

    def swap_to(self, generation: str) -> None:
        """Point searches at a generation in one atomic step."""

    def clear_current(self) -> None:
        """Let searches read nothing until the next swap."""

    def drop(self, generation: str) -> None:
        """Delete one generation."""

    def drop_others(self, *kept: str | None) -> None:
        """Delete all generations except these."""
