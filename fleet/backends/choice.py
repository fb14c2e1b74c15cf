"""Which engine keeps the index."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings

from fleet.backends.engine import Engine
from fleet.backends.tantivy_engine import TantivyEngine


def current_engine() -> Engine:
    """Return the engine that the settings choose."""
    return engine_at(settings.INDEX_DIR)


def engine_at(root: Path) -> Engine:
    """Return the chosen engine; the embedded one keeps its index in this folder."""
    if not settings.ELASTICSEARCH_URL:
        return TantivyEngine(root)
    # Its library takes 0.2 s to load, in each process.
    from fleet.backends.elastic_engine import ElasticEngine

    return ElasticEngine(
        settings.ELASTICSEARCH_URL,
        alias=settings.ELASTICSEARCH_INDEX,
        ca_file=settings.ELASTICSEARCH_CA_FILE,
    )
