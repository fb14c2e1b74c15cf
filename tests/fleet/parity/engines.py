"""Both engines, filled with the same documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.backends.documents import FleetDocument
from fleet.backends.engine import Engine, Reader, Search
from fleet.backends.tantivy_engine import TantivyEngine
from fleet.query.tree import Node
from tests.fleet.both_engines import elastic_engine
from tests.fleet.index import fill_engine
from tests.fleet.strategies import NOW

TENANT = 1


@contextmanager
def filled(root: Path, documents: Iterable[FleetDocument]) -> Iterator[list[Reader]]:
    """Readers of both engines."""
    documents = list(documents)
    with elastic_engine() as elastic:
        engines: list[Engine] = [TantivyEngine(root), elastic]
        for engine in engines:
            fill_engine(engine, documents)
        yield [engine.reader() for engine in engines]


def opened(reader: Reader, tree: Node) -> Search:
    """Search the documents of one tenant."""
    compiler = reader.compiler(NOW)
    return reader.search(compiler, compiler.for_tenants(tree, {TENANT: None}))
