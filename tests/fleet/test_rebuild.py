"""A rebuild changes no answer and stops no search; a check finds differences."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from fleet.backends import columns, generations
from fleet.backends.choice import current_engine
from fleet.exceptions import IndexElsewhere, IndexUnavailable
from fleet.models import IndexState, Outbox
from fleet.services import indexing
from fleet.services.index_check import verify_index
from fleet.services.indexing import Indexer, Stopped
from iotplatform.checks import check_index_place
from registry.models import Device, Tenant
from tests.factories import DeviceFactory
from tests.fleet.both_engines import on_both_engines
from tests.fleet.rows import find, uids_of


def make_fleet(count: int) -> Tenant:
    first: Device = DeviceFactory.create()
    Device.objects.bulk_create(
        Device(
            tenant=first.tenant,
            uid=f"bulk-{number}",
            name="old",
            site=first.site,
            product=first.product,
            lifecycle="active",
        )
        for number in range(count - 1)
    )
    return first.tenant


def write_without_outbox(sql: str, *params: Any) -> None:
    """Write without the outbox, as a bug or a restored backup would."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM fleet_outbox")
        (last,) = cursor.fetchone() or (0,)
        cursor.execute(sql, params)
        cursor.execute("DELETE FROM fleet_outbox WHERE id > %s", [last])


@contextmanager
def searching_all_the_time(tenant: Tenant) -> Iterator[set[int | str]]:
    """Search in a thread; yield the different totals, and the errors."""
    seen: set[int | str] = set()
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                seen.add(find(tenant, "*", limit=1, facets=["site", "rssi"]).total)
        except Exception as error:
            seen.add(repr(error))
        finally:
            connection.close()

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join(20)


@on_both_engines
@pytest.mark.django_db(transaction=True)
def test_searches_miss_nothing_while_the_index_is_rebuilt(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "CHUNK", 100)
    tenant = make_fleet(1_000)
    call_command("fleet_rebuild", stdout=StringIO())
    before = current_engine().current_generation()

    with searching_all_the_time(tenant) as seen:
        call_command("fleet_rebuild", stdout=StringIO())

    assert seen == {1_000}
    assert current_engine().current_generation() not in (None, before)


@on_both_engines
@pytest.mark.django_db(transaction=True)
def test_an_upgrade_builds_a_new_index_beside_the_one_of_the_older_version(
    index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "CHUNK", 100)
    rows = columns._rows()
    without_rssi = {name: row for name, row in rows.items() if name != "rssi"}
    tenant = make_fleet(500)
    with monkeypatch.context() as older:
        older.setattr(columns, "_rows", lambda: without_rssi)
        call_command("fleet_rebuild", stdout=StringIO())
    Device.objects.filter(uid="bulk-7").update(name="new")

    assert current_engine().current_generation() is None
    assert find(tenant, "name:new").total == 0
    assert find(tenant, "*", limit=1).index_lag_seconds > 0
    for q, sort in (("NOT rssi:5", "uid"), ("*", "rssi")):
        with pytest.raises(IndexUnavailable, match="'rssi' can be searched when"):
            find(tenant, q, sort=sort)
    with searching_all_the_time(tenant) as seen:
        call_command("fleet_rebuild", stdout=StringIO())

    assert seen == {500}
    assert find(tenant, "NOT rssi:5", sort="rssi").total == 500
    assert uids_of(tenant, "name:new") == ["bulk-7"]
    assert not Outbox.objects.exists()


@pytest.mark.django_db
def test_an_index_that_another_machine_keeps_is_refused_here(
    indexer: Indexer, index_dir: Path
) -> None:
    tenant = make_fleet(3)
    indexer.drain()
    elsewhere = generations.current_generation(index_dir)
    IndexState.objects.update(generation=f"{elsewhere}-of-another-machine")

    with pytest.raises(IndexElsewhere, match="not on this machine"):
        find(tenant, "*")
    assert [row.id for row in check_index_place()] == ["iotplatform.W002"]

    IndexState.objects.update(generation=elsewhere)
    assert find(tenant, "*").total == 3
    assert check_index_place() == []


@on_both_engines
@pytest.mark.django_db
def test_changes_during_a_rebuild_reach_the_old_and_the_new_index(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "CHUNK", 10)
    tenant = make_fleet(50)
    indexer.drain()
    seen_meanwhile: list[int] = []

    def change_what_was_built_already(done: int) -> None:
        seen_meanwhile.append(find(tenant, "name:new", limit=1).total)
        uids = [f"bulk-{done - 11}", f"bulk-{done - 12}"]
        Device.objects.filter(uid__in=uids).update(name="new")

    indexer.rebuild(change_what_was_built_already)

    assert seen_meanwhile == [0, 0, 2, 4, 6]  # the old index stays fresh
    assert find(tenant, "name:new").total == 8
    assert find(tenant, "*").total == 50
    assert verify_index().device_ids == []


@pytest.mark.django_db
def test_a_rebuild_changes_no_answer_and_keeps_one_generation_back(
    indexer: Indexer, index_dir: Path
) -> None:
    tenant = make_fleet(20)
    indexer.drain()
    before = find(tenant, "*", sort="-uid", facets=["site"])

    for _ in range(3):
        indexer.rebuild()

    assert find(tenant, "*", sort="-uid", facets=["site"]) == before
    assert len(list(index_dir.glob("generation-*"))) == 2


@on_both_engines
@pytest.mark.django_db
def test_a_running_indexer_does_a_requested_rebuild(
    indexer: Indexer, index_dir: Path
) -> None:
    before = current_engine().current_generation()

    indexing.request_rebuild()
    was_rebuilt = indexer.rebuild_if_requested()

    assert was_rebuilt
    assert not indexer.rebuild_if_requested()
    current = current_engine().current_generation()
    assert current not in (None, before)
    assert IndexState.objects.get().generation == current


@pytest.mark.django_db
def test_a_failed_rebuild_leaves_the_old_index_in_use(
    indexer: Indexer, index_dir: Path
) -> None:
    tenant = make_fleet(5)
    indexer.drain()

    def fail(done: int) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        indexer.rebuild(fail)

    Device.objects.update(name="new")
    indexer.drain()
    assert find(tenant, "name:new").total == 5
    assert len(list(index_dir.glob("generation-*"))) == 1


@pytest.mark.django_db
def test_a_stopped_rebuild_starts_again(index_dir: Path) -> None:
    tenant = make_fleet(5)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Indexer(index_dir, stop).open()

    second = Indexer(index_dir)
    second.open()
    second.close()

    assert find(tenant, "*").total == 5
    assert len(list(index_dir.glob("generation-*"))) == 1


@on_both_engines
@pytest.mark.django_db
def test_the_check_finds_and_repairs_missing_stale_and_extra_documents(
    indexer: Indexer,
) -> None:
    tenant = make_fleet(10)
    indexer.drain()
    ids = dict(Device.objects.values_list("uid", "pk"))
    write_without_outbox(
        "UPDATE registry_device SET name = 'stale' WHERE uid = 'bulk-1'"
    )
    write_without_outbox("DELETE FROM registry_device WHERE uid = 'bulk-2'")
    indexer.index_devices([])  # nothing: the outbox is empty
    assert indexer._current is not None
    indexer._current.remove([ids["bulk-3"]])
    indexer._current.commit()
    indexer.close()

    found = verify_index()
    with pytest.raises(CommandError, match="3 documents differ"):
        call_command("fleet_verify", stdout=StringIO())
    call_command("fleet_verify", "--repair", stdout=StringIO())

    assert found.stale == [ids["bulk-1"]]
    assert found.extra == [ids["bulk-2"]]
    assert found.missing == [ids["bulk-3"]]
    assert verify_index().device_ids == []
    assert uids_of(tenant, "name:stale") == ["bulk-1"]
    assert not Outbox.objects.exists()
