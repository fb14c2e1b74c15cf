"""Runs a test on the embedded index, and on Elasticsearch where there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

import pytest

from fleet.backends.elastic_engine import ElasticEngine
from tests.stores import ELASTICSEARCH

EMBEDDED, ELASTIC = "embedded", "elasticsearch"


def elasticsearch_url() -> str:
    """Return the address that the run was given; empty without one."""
    return os.environ.get(ELASTICSEARCH, "")


ENGINES = [EMBEDDED, *([ELASTIC] if elasticsearch_url() else [])]
on_both_engines = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@contextmanager
def elastic_engine() -> Iterator[ElasticEngine]:
    """An engine with indices of its own, deleted at the end."""
    engine = ElasticEngine(elasticsearch_url(), alias=f"iot-test-{token_hex(6)}")
    try:
        yield engine
    finally:
        engine.drop_others()


@contextmanager
def elasticsearch_chosen(settings: Any) -> Iterator[None]:
    """Let the settings choose Elasticsearch, with indices of this test's own."""
    with elastic_engine() as engine:
        settings.ELASTICSEARCH_URL = elasticsearch_url()
        settings.ELASTICSEARCH_INDEX = engine.alias
        yield
