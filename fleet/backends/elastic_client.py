"""The connection to Elasticsearch, and its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from elasticsearch import ApiError, BadRequestError, Elasticsearch, TransportError

from fleet.backends.engine import BadIndexQuery, IndexFault

SEARCH_SECONDS = 20.0
WRITE_SECONDS = 60.0
TOO_COMPLEX = ("require more than", "too_many_clauses", "too_many_nested_clauses")


@contextmanager
def faults() -> Iterator[None]:
    """Turn every error of Elasticsearch and of the way to it into an IndexFault."""
    try:
        yield
    except BadRequestError as error:
        text = str(error)
        if any(words in text for words in TOO_COMPLEX):
            raise BadIndexQuery(text) from error
        raise IndexFault(text) from error
    except (ApiError, TransportError) as error:
        raise IndexFault(str(error)) from error


def client(url: str, ca_file: str = "") -> Elasticsearch:
    """Return this process's client; a forked process makes its own."""
    return _client(url, ca_file, os.getpid())


@lru_cache(maxsize=4)
def _client(url: str, ca_file: str, pid: int) -> Elasticsearch:
    options: dict[str, Any] = {"request_timeout": SEARCH_SECONDS}
    if ca_file:
        options["ca_certs"] = ca_file
    return Elasticsearch(url, max_retries=2, retry_on_timeout=True, **options)
