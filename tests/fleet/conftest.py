"""Each test gets its own index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.backends import generations
from fleet.backends.tantivy_index import Writer
from fleet.services.indexing import Indexer
from tests.fleet.both_engines import EMBEDDED, elasticsearch_chosen


@pytest.fixture
def engine(request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    """The engine of this test: the embedded one, unless it asks for both."""
    name: str = getattr(request, "param", EMBEDDED)
    if name == EMBEDDED:
        yield name
    else:
        with elasticsearch_chosen(settings):
            yield name


@pytest.fixture
def index_dir(tmp_path: Path, settings: Any, engine: str) -> Path:
    """The folder of this test's index."""
    settings.INDEX_DIR = tmp_path / "index"
    return tmp_path / "index"


@pytest.fixture
def indexer(index_dir: Path, db: None) -> Iterator[Indexer]:
    """An open indexer; ``drain`` does what its loop does."""
    indexer = Indexer(index_dir)
    indexer.open()
    yield indexer
    indexer.close()


@pytest.fixture
def writer(index_dir: Path) -> Iterator[Writer]:
    """The writer of an index that is searched already."""
    generation = generations.new_generation(index_dir)
    writer = Writer(index_dir, generation, create=True)
    writer.commit()
    generations.swap_to(index_dir, generation)
    yield writer
    writer.close()
