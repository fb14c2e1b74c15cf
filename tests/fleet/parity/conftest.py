"""Both engines over one world; collected where there is an Elasticsearch."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.backends.engine import Reader
from tests.fleet.both_engines import elasticsearch_url
from tests.fleet.parity.engines import filled
from tests.fleet.parity.world import world

# Not skipped: what is not collected does not run, and the run's summary says so.
collect_ignore_glob = [] if elasticsearch_url() else ["test_*.py"]


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Reader]]:
    """Readers of the world on tantivy and on Elasticsearch."""
    with filled(tmp_path_factory.mktemp("index"), world()) as opened:
        yield opened
