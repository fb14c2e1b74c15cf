"""Fixtures: the data behind the pages, and a web server in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test.testcases import LiveServerThread

from fleet.services.indexing import Indexer
from tests.pages.world import World, make_world


@pytest.fixture
def world(transactional_db: None, tmp_path: Path, settings: Any) -> World:
    settings.INDEX_DIR = tmp_path / "index"
    settings.OIDC_SERVER_URL = "https://id.example.com"
    settings.OIDC_CLIENT_ID = settings.OIDC_CLIENT_SECRET = "x"
    indexer = Indexer(settings.INDEX_DIR)
    indexer.open()
    made = make_world(indexer)
    indexer.drain()
    indexer.close()
    return made


@pytest.fixture
def address(transactional_db: None, settings: Any) -> Iterator[str]:
    """A web server in this process; the browser may cache its static files."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
    }
    settings.WHITENOISE_USE_FINDERS = True
    settings.WHITENOISE_MAX_AGE = 3_600
    server = LiveServerThread("localhost", lambda app: app)  # type: ignore[arg-type]
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None
    yield f"http://localhost:{server.port}"
    server.terminate()
