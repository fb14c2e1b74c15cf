"""The embedded engine: an index in a folder that all processes share."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

from fleet.backends import generations, tantivy_index, tantivy_search
from fleet.backends.engine import Row, Turn
from fleet.backends.tantivy_query import Compiler, TenantQuery
from fleet.backends.tantivy_search import Search


class TantivyReader:
    """A generation opened for reading."""

    def __init__(self, reader: tantivy_index.Reader) -> None:
        self._reader = reader

    @property
    def generation(self) -> str:
        return self._reader.generation

    @property
    def fields(self) -> frozenset[str]:
        return self._reader.fields

    def check(self) -> None:
        self._reader.refresh()

    def compiler(self, now: datetime) -> Compiler:
        return Compiler(self._reader.index, now=now)

    def search(self, compiler: Compiler, query: TenantQuery) -> Search:
        return Search(self._reader, compiler, query)

    def stored_documents(self, device_ids: list[int]) -> dict[int, list[Row]]:
        with tantivy_index.faults():
            return tantivy_search.stored_documents(self._reader, device_ids)

    def device_ids(self) -> list[int]:
        with tantivy_index.faults():
            return tantivy_search.indexed_device_ids(self._reader)


class TantivyEngine:
    """The embedded index in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def reader(self, named: str | None = None) -> TantivyReader:
        return TantivyReader(tantivy_index.readers.current(self.root, named))

    def adopt(self, generation: str) -> str:
        with tantivy_index.faults():
            return generations.adopt(self.root, generation)

    def writer(
        self, generation: str, turn: Turn | None = None, *, create: bool = False
    ) -> tantivy_index.Writer:
        return tantivy_index.Writer(self.root, generation, turn, create=create)

    def new_generation(self) -> str:
        return generations.new_generation(self.root)

    def current_generation(self) -> str | None:
        return generations.current_generation(self.root)

    def swap_to(self, generation: str) -> None:
        generations.swap_to(self.root, generation)

    def clear_current(self) -> None:
        generations.clear_current(self.root)

    def drop(self, generation: str) -> None:
        shutil.rmtree(self.root / generation, ignore_errors=True)

    def drop_others(self, *kept: str | None) -> None:
        generations.drop_others(self.root, *kept)
