"""A script that waits for the index finds what it has just written."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from fleet.backends import generations
from fleet.selectors import wait_indexed
from fleet.services.indexer_process import run_indexer
from fleet.services.indexing import Indexer
from registry.choices import Role
from tests.factories import DeviceFactory
from tests.fleet.test_api import Caller
from tests.waiting import wait_until


@pytest.fixture
def running_indexer(index_dir: Path, transactional_db: None) -> Iterator[None]:
    """An indexer that works beside the test, as its process does."""
    stop = threading.Event()

    def run() -> None:
        try:
            run_indexer(index_dir, stop)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    wait_until(lambda: generations.current_generation(index_dir))
    yield
    stop.set()
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_search_that_waits_finds_its_own_earlier_write(running_indexer: None) -> None:
    device = DeviceFactory.create()
    caller = Caller(Role.MANAGER, device)
    path = f"devices/{device.uid}/"

    for number in range(4):
        caller.send("patch", path, {"name": f"written-{number}"}, 200)
        q = f"name:written-{number}"
        assert caller.get("fleet/search/", q=q, wait_indexed="1")["total"] == 1
    caller.send("patch", path, {"name": "exported"}, 200)
    answer = caller.client.get(
        "/api/v1/fleet/export/",
        {"q": "name:exported", "fields": "uid", "wait_indexed": "true"},
    )
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert text.split() == ["uid", device.uid]


@pytest.mark.django_db
def test_a_search_waits_no_longer_than_its_limit_and_tells_the_lag(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_indexed, "LONGEST_WAIT_SECONDS", 0.1)
    caller = Caller(Role.VIEWER, DeviceFactory.create())  # nobody indexes it

    found = caller.get("fleet/search/", q="*", wait_indexed="1")
    refused = caller.get("fleet/search/", 400, q="*", wait_indexed="yes")

    assert found["total"] == 0
    assert found["index_lag_seconds"] > 0
    assert refused["errors"][0]["field"] == "wait_indexed"
