"""An indexer process that is killed or stopped during changes loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection

from fleet.models import IndexState, Outbox
from fleet.services.index_check import verify_index
from registry.models import Device
from tests.factories import DeviceFactory
from tests.fleet.both_engines import on_both_engines
from tests.fleet.rows import find
from tests.waiting import wait_until

ROUNDS = 3


@pytest.fixture
def start_indexer(tmp_path: Path, settings: Any, index_dir: Path) -> Iterator[Any]:
    """Start ``manage.py fleet_indexer`` on the test's database."""
    running: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "fleet_indexer"],
            cwd=settings.BASE_DIR,
            env=os.environ
            | {
                "DATABASE_URL": database_url(),
                "IOT_DATA_DIR": str(tmp_path),
                "ELASTICSEARCH_URL": settings.ELASTICSEARCH_URL,
                "ELASTICSEARCH_INDEX": settings.ELASTICSEARCH_INDEX,
            },
            stderr=subprocess.DEVNULL,
        )
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def database_url() -> str:
    """Return the address of the test's own database."""
    params = settings.DATABASES["default"] | connection.get_connection_params()
    user, password = (quote(params.get(k) or "", safe="") for k in ("user", "password"))
    host, name = quote(params.get("host") or "", safe=""), params["dbname"]
    return f"postgres://{user}:{password}@{host}:{params.get('port') or ''}/{name}"


def has_drained_beyond(outbox_id: int) -> bool:
    """Whether a later batch has left the outbox."""
    return IndexState.objects.get().drained_outbox_id > outbox_id


def make_fleet() -> Device:
    """Make 501 devices; return the first one."""
    first: Device = DeviceFactory.create()
    Device.objects.bulk_create(
        Device(
            tenant=first.tenant, uid=f"d-{n}", site=first.site, product=first.product
        )
        for n in range(500)
    )
    return first


def is_built() -> bool:
    return IndexState.objects.exclude(generation="").exists()


@on_both_engines
@pytest.mark.django_db(transaction=True)
def test_a_killed_indexer_loses_nothing(start_indexer: Any) -> None:
    first = make_fleet()
    process = start_indexer()
    wait_until(is_built)

    for round_number in range(ROUNDS):
        drained = IndexState.objects.get().drained_outbox_id
        for step in range(20):  # five batches of the outbox
            name = f"round{round_number} step{step}"
            Device.objects.filter(pk__gte=first.pk + step).update(name=name)
        wait_until(partial(has_drained_beyond, drained), every=0.01)
        process.kill()  # while the next batches are read, committed or deleted
        process.wait()
        assert Outbox.objects.exists()
        process = start_indexer()
    wait_until(lambda: not Outbox.objects.exists())

    assert verify_index().device_ids == []
    newest = f'name:"round{ROUNDS - 1} step19"'
    assert find(first.tenant, newest, limit=1).total == 501 - 19
    assert find(first.tenant, "*", limit=1).total == 501

    process.terminate()
    assert process.wait(20) == 0


@on_both_engines
@pytest.mark.django_db(transaction=True)
def test_a_stopped_indexer_is_replaced_and_writes_nothing_more(
    start_indexer: Any,
) -> None:
    first = make_fleet()
    stopped = start_indexer()
    wait_until(is_built)
    epoch = IndexState.objects.get().epoch
    start_indexer()  # waits as a spare
    for step in range(20):
        Device.objects.filter(pk__gte=first.pk).update(name=f"before {step}")
    stopped.send_signal(signal.SIGSTOP)  # while it reads, writes or commits a batch

    Device.objects.filter(pk__gte=first.pk).update(name="after")
    wait_until(lambda: IndexState.objects.get().epoch > epoch)
    wait_until(lambda: not Outbox.objects.exists())
    generation = IndexState.objects.get().generation
    Device.objects.filter(pk=first.pk).delete()
    wait_until(lambda: not Outbox.objects.exists())
    stopped.send_signal(signal.SIGCONT)
    stopped.terminate()

    assert stopped.wait(60) == 0
    assert IndexState.objects.get().generation == generation
    assert verify_index().device_ids == []
    assert find(first.tenant, "name:after", limit=1).total == 500
