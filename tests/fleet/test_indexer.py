"""The indexer: what it indexes, and which failures it survives."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.backends import generations
from fleet.backends.tantivy_index import Writer, open_index
from fleet.documents import build_documents
from fleet.exceptions import IndexUnavailable
from fleet.models import IndexState, Outbox
from fleet.services import indexing
from fleet.services.indexer_process import run_indexer
from fleet.services.indexing import Indexer, writer_lock
from registry.models import Device
from state.services.twin import merge_desired
from tests.factories import DeviceFactory, SiteFactory
from tests.fleet.both_engines import on_both_engines
from tests.fleet.rows import (
    find,
    make_alarm,
    make_command,
    make_maintenance,
    make_presence,
    make_risk,
    make_telemetry,
    make_twin,
    uids_of,
)
from tests.state.scene import say, t
from tests.waiting import wait_until

REFERENCE = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'


@on_both_engines
@pytest.mark.django_db
def test_the_reference_query_finds_the_devices_that_it_describes(
    indexer: Indexer,
) -> None:
    found = DeviceFactory.create(uid="found")
    tenant, site = found.tenant, found.site
    elsewhere = SiteFactory.create(tenant=tenant, region="Bavaria")
    for uid, place, firmware, disconnects in [
        ("found", site, "1.4.2", 5),
        ("elsewhere", elsewhere, "1.4.2", 9),
        ("newer", site, "1.5.0", 9),
        ("calm", site, "1.4.10", 4),
    ]:
        device = (
            found
            if uid == "found"
            else DeviceFactory.create(
                tenant=tenant, uid=uid, site=place, product=found.product
            )
        )
        make_presence(device, disconnects_72h=disconnects)
        make_twin(device, firmware=firmware)

    indexer.drain()

    assert uids_of(tenant, REFERENCE) == ["found"]


@on_both_engines
@pytest.mark.django_db
def test_a_document_has_the_values_of_registry_state_and_commands(
    indexer: Indexer,
) -> None:
    device = DeviceFactory.create(uid="whole", name="Cold store", tags=["winter"])
    now = timezone.now()
    make_presence(device, disconnects_72h=2, activity_bucket=now)
    make_twin(device, firmware="1.4.2", config_version="c7", delta={"a": {}})
    make_telemetry(device, temperature=21.5, battery=80)
    make_risk(device, 35, alarms=20, flapping=15)
    make_alarm(device, code="hot", severity="critical")
    make_alarm(device, code="wet", severity="info", state="cleared")
    make_maintenance(device, begins=-1, ends=1, at_site=True)
    make_command(device, status="failed", ended_at=now, failure_class="rejected")
    make_command(device, status="sent", sent_at=now - timedelta(days=2))

    indexer.drain()

    (document,) = find(device.tenant, "uid:whole").results
    expected = {
        "tenant": device.tenant.slug,
        "site": device.site.slug,
        "region": "East China",
        "product": device.product.slug,
        "lifecycle": "active",
        "tags": ["winter"],
        "firmware": "1.4.2",
        "drift": True,
        "connectivity": "online",
        "disconnects_72h": 2,
        "battery": 80,
        "metric": {"temperature": 21.5},
        "alarms": 1,
        "alarms_critical": 1,
        "alarms_info": 0,
        "pending_commands": 1,
        "command_failure_rate": 1.0,
        "last_command_status": "sent",
        "risk": 35,
        "heartbeat_risk": 15,
        "in_maintenance": True,
        "risk_reasons": ["alarms", "flapping"],
    }
    assert {name: document[name] for name in expected} == expected
    query = "connectivity:online AND oldest_unacked_at:<now-1d AND alarms_critical:>0"
    query += " AND heartbeat_risk:15 AND in_maintenance:true"
    query += " AND risk:>=35 AND risk_reasons:flapping AND NOT risk_reasons:battery"
    assert uids_of(device.tenant, query) == ["whole"]


@on_both_engines
@pytest.mark.django_db
def test_values_that_the_index_cannot_hold_are_left_out(indexer: Indexer) -> None:
    device = DeviceFactory.create(
        uid="odd",
        product__attributes_schema={"properties": {"a": {"searchable": True}}},
        product__reported_keys=["interval", "whole"],
        attributes={"a": {"n": 10**400, "long" * 50_000: 1, "text": "x" * 100_000}},
    )
    make_twin(device, reported={"interval": [-(10**400), 5], "whole": 10**300})
    make_telemetry(device, temperature=4.0)

    indexer.drain()

    query = "reported.interval:5 AND metric.temperature:4 AND attr.a.text:*"
    assert uids_of(device.tenant, query) == ["odd"]
    [document] = find(device.tenant, "uid:odd").results
    assert document["reported"] == {"interval": [5], "whole": 10**300}
    assert "a.n" not in document["attr"]


@pytest.mark.django_db
def test_a_refused_document_is_indexed_without_attr_reported_and_metric(
    index_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    devices = [DeviceFactory.create(uid=uid) for uid in ("odd", "even")]
    odd, even = build_documents([device.pk for device in devices])
    odd.values["attr"] = {"n": 10**400}
    writer = Writer(index_dir, generations.new_generation(index_dir), create=True)

    writer.put([odd, even])
    writer.commit()

    searcher = open_index(index_dir / writer.generation).searcher()
    assert searcher.num_docs == 2
    assert f"device {odd.device_id} is indexed without attr" in caplog.text
    writer.close()


@pytest.mark.django_db
def test_a_device_that_never_connected_is_offline(indexer: Indexer) -> None:
    device = DeviceFactory.create()
    indexer.drain()

    found = uids_of(device.tenant, "connectivity:offline AND cause:never_connected")

    assert found == [device.uid]


@pytest.mark.django_db
def test_a_kill_between_the_commit_and_the_drained_outbox_loses_nothing(
    index_dir: Path,
) -> None:
    first = Indexer(index_dir)
    first.open()
    device = DeviceFactory.create(name="before")
    first.index_devices([device.pk])  # committed; killed before the outbox is drained
    first.close()
    Device.objects.filter(pk=device.pk).update(name="after")

    second = Indexer(index_dir)
    second.open()
    second.drain()
    second.close()

    assert uids_of(device.tenant, "name:after") == [device.uid]
    assert find(device.tenant, "*").total == 1
    assert not Outbox.objects.exists()


@pytest.mark.django_db
def test_a_batch_that_was_not_committed_is_indexed_again(index_dir: Path) -> None:
    first = Indexer(index_dir)
    first.open()
    device = DeviceFactory.create()
    assert first._current is not None
    first._current.remove([device.pk])
    first.close()  # as a kill before the commit

    second = Indexer(index_dir)
    second.open()
    second.drain()
    second.close()

    assert uids_of(device.tenant, "*") == [device.uid]


@pytest.mark.django_db
@pytest.mark.parametrize("damage", ["missing", "torn", "pointer", "other database"])
def test_a_missing_or_broken_index_is_built_again(index_dir: Path, damage: str) -> None:
    device = DeviceFactory.create()
    first = Indexer(index_dir)
    first.open()
    first.drain()
    first.close()
    generation = generations.current_generation(index_dir)
    assert generation is not None
    meta = index_dir / generation / "meta.json"
    if damage == "missing":
        meta.unlink()
    elif damage == "torn":
        meta.write_text(meta.read_text()[:20])
    elif damage == "pointer":
        (index_dir / "CURRENT").unlink()
    else:
        IndexState.objects.update(generation="generation-of-another-database")

    if damage != "other database":
        with pytest.raises(IndexUnavailable):
            find(device.tenant, "*")
    second = Indexer(index_dir)
    second.open()
    second.close()

    assert uids_of(device.tenant, "*") == [device.uid]
    assert generations.current_generation(index_dir) != generation


@pytest.mark.django_db(transaction=True)
def test_a_change_is_searchable_within_two_seconds_and_a_second_indexer_waits(
    index_dir: Path,
) -> None:
    device = DeviceFactory.create(name="before")
    stops = [threading.Event(), threading.Event()]
    threads = [threading.Thread(target=_run, args=(index_dir, stop)) for stop in stops]
    for thread in threads:
        thread.start()
    wait_until(lambda: generations.current_generation(index_dir))
    wait_until(lambda: uids_of(device.tenant, "name:before"))

    Device.objects.filter(pk=device.pk).update(name="after")
    wait_until(lambda: uids_of(device.tenant, "name:after"), seconds=2)
    with writer_lock() as is_owner:
        assert not is_owner
    stops[0].set()
    threads[0].join(20)
    Device.objects.filter(pk=device.pk).update(name="later")
    wait_until(lambda: uids_of(device.tenant, "name:later"))
    stops[1].set()
    threads[1].join(20)

    with writer_lock() as is_owner:
        assert is_owner


@pytest.mark.django_db(transaction=True)
def test_the_indexer_continues_after_its_connection_was_cut(index_dir: Path) -> None:
    device = DeviceFactory.create()
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(index_dir, stop))
    thread.start()
    wait_until(lambda: generations.current_generation(index_dir))
    # Without its row the next start would build the index again.
    wait_until(lambda: IndexState.objects.exists())

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"  # autovacuum's are not ours
        )
    Device.objects.filter(pk=device.pk).update(name="after")
    wait_until(lambda: uids_of(device.tenant, "name:after"))
    stop.set()
    thread.join(20)

    assert not thread.is_alive()


@pytest.mark.django_db
def test_a_backlog_indexes_a_device_once_however_often_it_changed(
    indexer: Indexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "BATCH", 2)
    monkeypatch.setattr(indexing, "BACKLOG_BATCH", 3)
    devices = DeviceFactory.create_batch(3)
    indexer.drain()
    while indexer.drain():
        pass
    for name in ("one", "two", "three", "four"):
        Device.objects.update(name=name)
    assert Outbox.objects.count() == 12

    with CaptureQueriesContext(connection) as queries:
        while indexer.drain():
            pass

    assert not Outbox.objects.exists()
    assert find(devices[0].tenant, "name:four", limit=10).total == 1
    built = [q for q in queries if "FROM registry_device d" in q["sql"]]
    assert len(built) <= 3


def _run(root: Path, stop: threading.Event) -> None:
    try:
        run_indexer(root, stop)
    finally:
        connection.close()


@pytest.mark.django_db
def test_a_desired_fraction_reported_in_float32_is_not_indexed_as_drift() -> None:
    device = DeviceFactory.create()
    merge_desired(device.pk, {"gain": 0.1}, at=t(0))
    say(device, "reported", t(0), version=1, reported={"gain": 0.10000000149011612})

    [document] = build_documents([device.pk])

    assert document.values["drift"] is False
