"""Both engines, filled with the same documents."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from fleet.backends.documents import FleetDocument
from fleet.backends.elastic_engine import ElasticEngine
from fleet.backends.engine import Engine, Reader, Search
from fleet.backends.tantivy_engine import TantivyEngine
from fleet.query.tree import Node
from tests.fleet.strategies import NOW
from tests.stores import ELASTICSEARCH

TENANT = 1


def elasticsearch_url() -> str:
    """Return the address that the run was given; empty without one."""
    return os.environ.get(ELASTICSEARCH, "")


@contextmanager
def elastic_engine() -> Iterator[ElasticEngine]:
    """An engine with indices of its own, deleted at the end."""
    engine = ElasticEngine(elasticsearch_url(), alias=f"iot-test-{token_hex(6)}")
    try:
        yield engine
    finally:
        engine.drop_others()


def fill_engine(engine: Engine, documents: Iterable[FleetDocument]) -> Reader:
    """Make these documents the current generation; return its reader."""
    generation = engine.new_generation()
    writer = engine.writer(generation, create=True)
    writer.put(documents)
    writer.commit()
    writer.close()
    engine.swap_to(generation)
    return engine.reader()


@contextmanager
def filled(root: Path, documents: Iterable[FleetDocument]) -> Iterator[list[Reader]]:
    """Readers of both engines."""
    documents = list(documents)
    with elastic_engine() as elastic:
        engines: list[Engine] = [TantivyEngine(root), elastic]
        yield [fill_engine(engine, documents) for engine in engines]


def opened(reader: Reader, tree: Node) -> Search:
    """Search the documents of one tenant."""
    compiler = reader.compiler(NOW)
    return reader.search(compiler, compiler.for_tenants(tree, {TENANT: None}))
