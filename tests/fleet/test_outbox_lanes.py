"""What is indexed first, from where the outbox is read, and who keeps its lock."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection, transaction

from fleet.choices import OutboxLane
from fleet.migrations._outbox_triggers import MOST_SINGLES
from fleet.models import IndexState, Outbox
from fleet.selectors.lag import index_lag_seconds
from fleet.selectors.wait_indexed import _last_change
from fleet.services import indexing
from fleet.services.indexing import INDEXER_LOCK, Indexer, writer_lock
from registry.models import Device, Site
from tests.factories import DeviceFactory
from tests.fleet.rows import find, uids_of
from tests.waiting import wait_until

# A test within one transaction, with 100,000 rows, on a machine that is slow.
LONGEST_TEST = 1_200.0
# pg_locks shows every database of the server, also those of the other test processes.
HELD = """
    SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory' AND objid = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def make_fleet(count: int) -> Device:
    first: Device = DeviceFactory.create()
    Device.objects.bulk_create(
        Device(
            tenant=first.tenant, uid=f"d-{n}", site=first.site, product=first.product
        )
        for n in range(count - 1)
    )
    return first


@contextmanager
def an_open_change(device: Device) -> Iterator[None]:
    """Change a device in another connection, and commit when the block ends."""
    changed, done = threading.Event(), threading.Event()

    def change() -> None:
        try:
            with transaction.atomic():
                Device.objects.filter(pk=device.pk).update(name="late")
                changed.set()
                done.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=change)
    thread.start()
    assert changed.wait(20)
    try:
        yield
    finally:
        done.set()
        thread.join(20)


@pytest.mark.django_db
def test_one_device_is_indexed_before_what_a_rename_changed(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_fleet(MOST_SINGLES + 1)
    while indexer.drain():
        pass
    monkeypatch.setattr(indexing, "BATCH", 10)

    Site.objects.update(region="Renamed")
    lanes_of_rename = set(Outbox.objects.values_list("lane", flat=True))
    Device.objects.filter(pk=first.pk).update(name="urgent")
    last = Outbox.objects.latest("pk")
    indexer.drain()

    assert lanes_of_rename == {OutboxLane.MANY}
    assert last.lane == OutboxLane.SINGLE
    assert uids_of(first.tenant, "name:urgent") == [first.uid]
    # It was indexed once, though it may be among those of the rename, too.
    assert find(first.tenant, "region:Renamed").total in (9, 10)
    assert index_lag_seconds() > 0
    monkeypatch.setattr(indexing, "BATCH", 1_000)
    while indexer.drain():
        pass
    assert find(first.tenant, "region:Renamed").total == MOST_SINGLES + 1
    assert index_lag_seconds() == 0


@pytest.mark.django_db(transaction=True)
def test_a_change_that_commits_late_is_not_passed(indexer: Indexer) -> None:
    slow, fast = DeviceFactory.create_batch(2)
    while indexer.drain():
        pass
    emptied_before = IndexState.objects.get().emptied_outbox_id

    with an_open_change(slow):
        Device.objects.filter(pk=fast.pk).update(name="early")
        for _ in range(3):
            indexer.drain()
        held = IndexState.objects.get()
        is_empty = index_lag_seconds() == 0
    lag, last = index_lag_seconds(), _last_change()
    indexer.drain()

    assert is_empty
    assert held.emptied_outbox_id < held.drained_outbox_id
    assert lag > 0
    assert last is not None
    assert last < held.drained_outbox_id
    assert uids_of(slow.tenant, "name:late") == [slow.uid]
    assert last > emptied_before

    def is_emptied() -> bool:
        indexer.drain()
        return IndexState.objects.get().emptied_outbox_id >= last

    # Transactions of other databases of the server end first: those of other tests,
    # which may be the longest of all.
    wait_until(is_emptied, seconds=LONGEST_TEST, what="the outbox is passed")
    assert not Outbox.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_long_work_does_not_lose_the_lock_of_the_writer(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "STILL_SECONDS", 0.5)
    given = connection.get_connection_params()
    given = {k: v for k, v in given.items() if k not in ("context", "cursor_factory")}
    began = time.monotonic()

    with writer_lock() as is_owner, psycopg.connect(**given, autocommit=True) as other:
        wait_until(lambda: time.monotonic() - began > 1.5)  # as work without queries
        held = other.execute(HELD, [INDEXER_LOCK & 0xFFFFFFFF]).fetchone()

    assert is_owner
    assert held == (1,)
